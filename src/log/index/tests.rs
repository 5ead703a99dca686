//! Against a model.
