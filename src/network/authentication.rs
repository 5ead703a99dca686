//! Takes a connection from its first byte to the client's identity: the TLS handshake, then the SASL exchange. Renews
//! sessions. Kafka 3.9: `KafkaChannel.prepare`, `Selector.pollSelectionKeys`, `SslAuthenticator`.
//!
//! A failure is held back for `connection.failed.authentication.delay.ms`, together with its answer, so that guessing
//! is slow. Meanwhile nothing is read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, ConnectionEnd};
use super::request_handler::{Reply, RequestHandler};
use super::sasl_server_authenticator::{SaslServerAuthenticator, Step};
use super::session::{SaslSession, Session};
use super::transport::Transport;
use crate::config::SecurityProtocol;
use crate::protocol::codec::{self, ReceivedHeader};
use crate::protocol::messages::ApiVersionsRequest;
use crate::protocol::{ApiKey, Chunk, Request};
use crate::security::{AuthenticationError, KafkaPrincipal};

/// A session is not renewed more often than this.
const SHORTEST_RENEWAL_INTERVAL: Duration = Duration::from_secs(1);

impl<H: RequestHandler> Connection<H> {
    /// Proves the client's identity. Nothing of the client's is handled before this returns.
    pub(super) async fn authenticate(&mut self) -> Result<(), ConnectionEnd> {
        let security = self.settings.security.clone();
        if let Some(tls) = &security.tls {
            self.shake_hands(tls.server_config()).await?;
        }
        match security.protocol {
            SecurityProtocol::Plaintext => Ok(()),
            SecurityProtocol::Ssl => {
                let certificates = self.transport()?.peer_certificates();
                let principal = match certificates.and_then(<[_]>::first) {
                    None => Ok(KafkaPrincipal::anonymous()),
                    Some(certificate) => security.tls.as_ref().expect("SSL has TLS").principal(certificate),
                };
                match principal {
                    Ok(principal) => self.context.principal = principal,
                    Err(error) => return Err(self.fail(None, error).await),
                }
                self.settings.listener_metrics.successful_authentication.mark(1);
                self.settings.listener_metrics.authenticated_for_good();
                Ok(())
            }
            SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl => {
                let mechanisms = security.sasl.clone().expect("the protocol has SASL");
                self.exchange(SaslServerAuthenticator::new(mechanisms), None)
                    .await?;
                let metrics = &self.settings.listener_metrics;
                metrics.successful_authentication.mark(1);
                if !self
                    .session
                    .as_ref()
                    .is_some_and(|session| session.proved.learns_lifetime)
                {
                    metrics.authenticated_for_good();
                }
                Ok(())
            }
        }
    }

    /// Looks at the first bytes of a request on a SASL listener. Returns the frame unless it was the begin of a
    /// renewal, which is then complete.
    pub(super) async fn renew_if_asked(&mut self, frame: Bytes) -> Result<Option<Bytes>, ConnectionEnd> {
        let Some(session) = &mut self.session else {
            return Ok(Some(frame));
        };
        let Some(expires) = session.expires else {
            return Ok(Some(frame));
        };
        let now = Instant::now();
        if codec::api_of(&frame) != Some(ApiKey::SaslHandshake) {
            if now <= expires {
                return Ok(Some(frame));
            }
            self.settings.listener_metrics.killed_expired();
            return Err(ConnectionEnd::SessionExpired);
        }
        if session
            .renewed
            .is_some_and(|at| now.duration_since(at) < SHORTEST_RENEWAL_INTERVAL)
        {
            return Ok(Some(frame));
        }
        session.renewed = Some(now);
        let mechanisms = self.settings.security.sasl.clone().expect("there is a session");
        let authenticator = SaslServerAuthenticator::renewing(mechanisms, session.proved.clone());
        self.exchange(authenticator, Some(frame)).await?;
        let metrics = &self.settings.listener_metrics;
        metrics.successful_reauthentication.mark(1);
        metrics
            .reauthentication_latency
            .record(now.elapsed().as_secs_f64() * 1000.0);
        Ok(None)
    }

    async fn shake_hands(&mut self, config: Arc<rustls::ServerConfig>) -> Result<(), ConnectionEnd> {
        let Some(Transport::Plain(stream)) = self.transport.take() else {
            unreachable!("a connection begins plain");
        };
        let max_idle = self.settings.max_idle;
        let accepted = async {
            // The state of a handshake takes memory, which a client that says nothing does not get.
            stream.readable().await?;
            Transport::accept(stream, config).await
        };
        let accepted = tokio::select! {
            accepted = timeout(max_idle, accepted) => accepted,
            () = self.stopping.cancelled() => return Err(ConnectionEnd::Stopping),
            () = self.slot.evicted().cancelled() => return Err(ConnectionEnd::Evicted),
        };
        match accepted {
            Ok(Ok(transport)) => {
                self.transport = Some(transport);
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %self.context.peer, %error, "the TLS handshake failed");
                let error = AuthenticationError::new("SSL handshake failed");
                Err(self.fail(None, error).await)
            }
            Err(_) => Err(ConnectionEnd::Idle),
        }
    }

    /// Runs a SASL exchange to its end. `first` is a frame that was read already.
    async fn exchange(
        &mut self,
        mut authenticator: SaslServerAuthenticator,
        mut first: Option<Bytes>,
    ) -> Result<(), ConnectionEnd> {
        let limit = self.settings.security.max_receive_bytes;
        self.frames.set_max_frame_bytes(limit);
        loop {
            let frame = match first.take() {
                Some(frame) => Ok(frame),
                None => self.next_frame().await,
            };
            let frame = match frame {
                Ok(frame) if frame.len() <= limit => frame,
                Ok(_) | Err(ConnectionEnd::FrameSize(_)) => {
                    let text = "Failing SASL authentication due to invalid receive size";
                    return Err(self.fail(None, AuthenticationError::new(text)).await);
                }
                Err(end) => return Err(end),
            };
            match authenticator.receive(frame, self.settings.clock.wall_ms()).await {
                Step::Answer(response) => self.send(response).await?,
                Step::ApiVersions(header, request) => {
                    let succeeded = self.answer_api_versions(&header, request).await?;
                    authenticator.answered_api_versions(succeeded);
                }
                Step::Done(response, session) => {
                    if let Some(response) = response {
                        self.send(response).await?;
                    }
                    self.frames.set_max_frame_bytes(self.settings.max_request_bytes);
                    self.begin_session(session);
                    return Ok(());
                }
                Step::Failed(response, error) => return Err(self.fail(response, error).await),
                Step::Close(reason) => return Err(ConnectionEnd::UnexpectedRequest(reason)),
            }
        }
    }

    fn begin_session(&mut self, proved: SaslSession) {
        self.context.principal = proved.principal.clone();
        let lifetime = proved
            .lifetime_ms
            .map(|lifetime| Duration::from_millis(u64::try_from(lifetime).unwrap_or(0)));
        self.session = Some(Session {
            // A lifetime that is too long for the clock is none.
            expires: lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime)),
            renewed: self.session.as_ref().and_then(|session| session.renewed),
            proved,
        });
    }

    /// Whether the answer has no error.
    async fn answer_api_versions(
        &mut self,
        header: &ReceivedHeader,
        request: ApiVersionsRequest,
    ) -> Result<bool, ConnectionEnd> {
        self.context.api_version = header.version;
        self.context.client_id = header.client_id.to_string();
        let handled = self.handler.handle(
            &self.context,
            header.correlation_id,
            Request::ApiVersions(request),
        );
        let Reply::Send(response) = Box::pin(handled).await else {
            return Err(ConnectionEnd::ClosedByHandler);
        };
        let chunks = response.into_chunks();
        let Some(Chunk::Bytes(frame)) = chunks.first() else {
            return Err(ConnectionEnd::ClosedByHandler);
        };
        // Length, correlation id, error: ApiVersions always has header 0.
        let succeeded = frame.get(8..10) == Some(&[0, 0]);
        let max_idle = self.settings.max_idle;
        self.transport()?.write_chunks(chunks, max_idle).await?;
        Ok(succeeded)
    }

    async fn send(&mut self, frame: Bytes) -> Result<(), ConnectionEnd> {
        let max_idle = self.settings.max_idle;
        let chunks = vec![Chunk::Bytes(frame)];
        Ok(self.transport()?.write_chunks(chunks, max_idle).await?)
    }

    /// Waits, sends the response, if there is one, and returns why the connection ends.
    async fn fail(&mut self, response: Option<Bytes>, error: AuthenticationError) -> ConnectionEnd {
        let is_renewal = self.session.is_some();
        let metrics = &self.settings.listener_metrics;
        match is_renewal {
            true => metrics.failed_reauthentication.mark(1),
            false => metrics.failed_authentication.mark(1),
        }
        tokio::select! {
            () = sleep(self.settings.security.failure_delay) => {}
            () = self.stopping.cancelled() => return ConnectionEnd::Stopping,
        }
        if let Some(response) = response
            && let Err(end) = self.send(response).await
        {
            tracing::debug!(peer = %self.context.peer, reason = %end, "the client left before its answer");
        }
        ConnectionEnd::Unauthenticated { is_renewal, error }
    }
}
