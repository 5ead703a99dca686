//! The nouns of authorization: operations, and the types of resources on which they are allowed or denied.
//! Kafka 3.9: `AclOperation`, `ResourceType`, `AclEntry.supportedOperations`.

/// What a client does with a resource. The number stands on the wire and in ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
#[allow(missing_docs, reason = "each is named as in Kafka's documentation")]
pub enum AclOperation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
}

/// A type of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as in Kafka's documentation")]
pub enum ResourceType {
    Topic,
    Group,
    Cluster,
    TransactionalId,
    DelegationToken,
    User,
}

impl ResourceType {
    /// The operations that a resource of this type has.
    pub const fn operations(self) -> &'static [AclOperation] {
        use AclOperation::*;
        match self {
            Self::Topic => &[
                Read,
                Write,
                Create,
                Delete,
                Alter,
                Describe,
                DescribeConfigs,
                AlterConfigs,
            ],
            Self::Group => &[Read, Delete, Describe],
            Self::Cluster => &[
                Create,
                Alter,
                Describe,
                ClusterAction,
                DescribeConfigs,
                AlterConfigs,
                IdempotentWrite,
            ],
            Self::TransactionalId => &[Write, Describe],
            Self::DelegationToken => &[Describe],
            Self::User => &[CreateTokens, DescribeTokens],
        }
    }

    /// All operations of this type as a field of bits: bit n is operation n (KIP-430).
    pub const fn operation_bits(self) -> i32 {
        let (operations, mut bits, mut at) = (self.operations(), 0, 0);
        while at < operations.len() {
            bits |= 1 << operations[at] as i8;
            at += 1;
        }
        bits
    }

    /// Whether a resource of this type has the operation.
    pub const fn has(self, operation: AclOperation) -> bool {
        self.operation_bits() & (1 << operation as i8) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_operations_make_the_bits_that_kafka_sends() {
        assert_eq!(ResourceType::Topic.operation_bits(), 3576);
        assert_eq!(ResourceType::Group.operation_bits(), 328);
        assert_eq!(ResourceType::Cluster.operation_bits(), 8096);
        assert!(ResourceType::User.has(AclOperation::CreateTokens));
        assert!(!ResourceType::Group.has(AclOperation::Write));
    }
}
