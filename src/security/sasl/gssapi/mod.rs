//! Owns the mechanism GSSAPI: Kerberos. Kafka 3.9: `KerberosLogin`, `SaslServerCallbackHandler`; Java's
//! `GssKrb5Server` and `GssKrb5Client`.

/// The mechanism's name.
pub const GSSAPI: &str = "GSSAPI";

/// The login module whose options name a key table and a principal.
pub const KRB5_LOGIN_MODULE: &str = "com.sun.security.auth.module.Krb5LoginModule";
