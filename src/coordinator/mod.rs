//! L5. Coordinators. Import L0–L4, never the controller or the API layer.

pub mod group;
pub mod producer_ids;
