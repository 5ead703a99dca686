//! What the three requests about ACLs share: the check of the kinds that they name, and the refusal without an
//! authorizer. Kafka 3.9: `AclApis`.

/// The message of a refused creation or deletion.
pub const NO_AUTHORIZER: &str = "No Authorizer is configured.";

/// Whether a resource type, pattern type, operation or permission is zero. Kafka cannot read such a request and closes
/// the connection.
pub fn has_unknown(kinds: [i8; 4]) -> bool {
    kinds.contains(&0)
}
