//! Owns the mechanism GSSAPI: Kerberos, by the system's library. It reads the file that the variable `KRB5_CONFIG`
//! names, or `/etc/krb5.conf`. Kafka 3.9: `KerberosLogin`, `SaslServerCallbackHandler`; Java's `Krb5LoginModule`,
//! `GssKrb5Server` and `GssKrb5Client`.
//!
//! After the tokens of the context both sides agree on a security layer (RFC 4752). Kafka wants none:
//!
//! ```text
//! server's offer  = 01 000000                 the layers, a bit each: none; the longest message: 0 without a layer
//! client's choice = 01 000000 AUTHORIZATION   wrapped in the context's keys, as the offer is
//! ```

#[cfg(feature = "gssapi")]
mod client;
#[cfg(feature = "gssapi")]
mod credential;
#[cfg(feature = "gssapi")]
mod login;
#[cfg(feature = "gssapi")]
mod server;

#[cfg(feature = "gssapi")]
pub use client::GssapiClient;
#[cfg(feature = "gssapi")]
pub use login::KerberosLogin;
#[cfg(feature = "gssapi")]
pub use server::GssapiServer;

/// The mechanism's name.
pub const GSSAPI: &str = "GSSAPI";

/// The login module whose options name a key table and a principal.
pub const KRB5_LOGIN_MODULE: &str = "com.sun.security.auth.module.Krb5LoginModule";

/// The offer and the choice: no security layer.
#[cfg(feature = "gssapi")]
const NO_LAYER: [u8; 4] = [1, 0, 0, 0];

#[cfg(all(test, feature = "gssapi"))]
mod tests;
