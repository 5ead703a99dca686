//! Owns the server's side of an exchange, whatever its mechanism. Kafka 3.9: `SaslServer`.

use super::error::SaslError;
use super::evaluation::Evaluation;
use super::oauthbearer::OauthBearerServer;
use super::plain::PlainServer;
use super::scram::ScramServer;

/// One exchange with one client.
#[derive(Debug)]
#[allow(missing_docs, reason = "the mechanisms")]
pub enum SaslServer {
    Plain(PlainServer),
    Scram(Box<ScramServer>),
    OauthBearer(OauthBearerServer),
    #[cfg(feature = "gssapi")]
    Gssapi(super::gssapi::GssapiServer),
}

impl SaslServer {
    /// Takes a token of the client. `now_ms` is the time since 1970. An error ends the exchange.
    pub async fn evaluate(&mut self, token: &[u8], now_ms: i64) -> Result<Evaluation, SaslError> {
        match self {
            Self::Plain(server) => server.evaluate(token),
            Self::Scram(server) => server.evaluate(token),
            Self::OauthBearer(server) => server.evaluate(token, now_ms),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(server) => server.evaluate(token).await,
        }
    }
}
