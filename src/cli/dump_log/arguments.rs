//! The flags of `barnabas dump-log`. Kafka 3.9: `DumpLogSegmentsOptions`.

use super::decoders::{Decoder, DecoderClass};

#[derive(clap::Args, Clone, Debug)]
pub(in crate::cli) struct Arguments {
    /// The files to dump, separated by commas: .log .index .timeindex .txnindex .snapshot and checkpoints.
    #[arg(long, value_name = "FILE,...", value_delimiter = ',', required = true)]
    pub(super) files: Vec<String>,
    /// Print the content of records too; every decoder flag implies this.
    #[arg(long)]
    pub(super) print_data_log: bool,
    /// Print every record of a batch; --print-data-log implies this.
    #[arg(long)]
    pub(super) deep_iteration: bool,
    /// Only run the checks that a broker runs on its indexes when it starts.
    #[arg(long)]
    pub(super) index_sanity_check: bool,
    /// Only compare indexes with their log; do not print their entries.
    #[arg(long)]
    pub(super) verify_index_only: bool,
    /// Bytes of a .log to look at.
    #[arg(long, value_name = "BYTES", default_value_t = i32::MAX, value_parser = clap::value_parser!(i32).range(0..))]
    pub(super) max_bytes: i32,
    /// Bytes of the largest batch that an index may point to.
    #[arg(long, value_name = "BYTES", default_value_t = 5 * 1024 * 1024, value_parser = clap::value_parser!(i32).range(0..))]
    pub(super) max_message_size: i32,
    /// Decode the records of __consumer_offsets.
    #[arg(long)]
    pub(super) offsets_decoder: bool,
    /// Decode the records of __transaction_state.
    #[arg(long)]
    pub(super) transaction_log_decoder: bool,
    /// Do not print the metadata of records, only keys and values.
    #[arg(long)]
    pub(super) skip_record_metadata: bool,
    /// How keys are decoded: Kafka's StringDecoder, IntegerDecoder, LongDecoder or DefaultDecoder.
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = DecoderClass::DEFAULT)]
    pub(super) key_decoder_class: Option<DecoderClass>,
    /// How values are decoded: Kafka's StringDecoder, IntegerDecoder, LongDecoder or DefaultDecoder.
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = DecoderClass::DEFAULT)]
    pub(super) value_decoder_class: Option<DecoderClass>,
    /// Refused: KRaft's metadata log does not exist in a cluster with ZooKeeper.
    #[arg(long)]
    pub(super) cluster_metadata_decoder: bool,
    /// Refused: this broker has no remote log storage.
    #[arg(long)]
    pub(super) remote_log_metadata_decoder: bool,
    /// Print one JSON object a line instead of Kafka's lines.
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    /// Whether the tool prints keys and values.
    pub(super) fn prints_data(&self) -> bool {
        self.print_data_log
            || self.offsets_decoder
            || self.transaction_log_decoder
            || self.key_decoder_class.is_some()
            || self.value_decoder_class.is_some()
    }

    /// Whether the tool reads the records of batches.
    pub(super) fn is_deep(&self) -> bool {
        self.deep_iteration || self.prints_data()
    }

    /// The decoder of keys and values. If there are several, the first wins, in Kafka's order.
    pub(super) fn decoder(&self) -> Decoder {
        if self.offsets_decoder {
            Decoder::Offsets
        } else if self.transaction_log_decoder {
            Decoder::Transactions
        } else {
            Decoder::Plain {
                key: self.key_decoder_class.unwrap_or_default(),
                value: self.value_decoder_class.unwrap_or_default(),
            }
        }
    }

    /// Why the tool refuses these flags; `None` if it accepts them.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        if self.offsets_decoder || self.transaction_log_decoder {
            None
        } else if self.cluster_metadata_decoder {
            Some(
                "--cluster-metadata-decoder is for KRaft's metadata log, which a cluster with ZooKeeper does not have",
            )
        } else if self.remote_log_metadata_decoder {
            Some(
                "--remote-log-metadata-decoder is for the metadata of remote log storage, which this broker does not have",
            )
        } else {
            None
        }
    }
}
