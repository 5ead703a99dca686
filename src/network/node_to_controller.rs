//! Owns the channel from this broker to the controller. Kafka 3.9: `NodeToControllerChannelManager`.
//!
//! The channel asks its owner for the controller's address before each request, so it needs no metadata. It keeps its
//! connection while the controller stays the same and answers. Without a response, or after NOT_CONTROLLER, it drops
//! the connection, and the next request opens a new one (fact 71). One request is in flight at a time, and each is sent
//! once: the owner decides when, how often and with which content to retry. The channel uses the network even if this
//! broker is the controller.

use std::ops::RangeInclusive;

use tokio::sync::Notify;

use super::client::{BrokerAddress, ClientSettings, NetworkClient, NetworkError};
use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;
use crate::protocol::WireRequest;

/// Returns the current controller's address, as far as this broker knows. Kafka 3.9: `ControllerNodeProvider`.
pub type ControllerNodeProvider = Box<dyn Fn() -> Option<BrokerAddress> + Send + Sync>;

/// Why a request to the controller failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeToControllerError {
    /// This broker does not know the controller or its address.
    #[error("no controller is known")]
    NoController,
    /// No response came.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Another broker became controller before this one answered.
    #[error("broker {0} is no longer the controller")]
    Replaced(BrokerId),
    /// The controller answered with an error.
    #[error("{0}")]
    Refused(ErrorCode),
}

/// The channel for one kind of request.
pub struct NodeToControllerChannelManager {
    controller: ControllerNodeProvider,
    settings: ClientSettings,
    changed: Notify,
    /// Locked while a request is in flight.
    client: tokio::sync::Mutex<Option<NetworkClient>>,
}

impl NodeToControllerChannelManager {
    /// Creates a channel. It does not connect yet.
    pub fn new(controller: ControllerNodeProvider, settings: ClientSettings) -> Self {
        Self {
            controller,
            settings,
            changed: Notify::new(),
            client: tokio::sync::Mutex::default(),
        }
    }

    /// Ends a request in flight if the controller has changed.
    pub fn controller_may_have_changed(&self) {
        self.changed.notify_one();
    }

    /// The address to which requests are sent now.
    pub fn controller(&self) -> Option<BrokerAddress> {
        (self.controller)()
    }

    /// Sends one request and reads its response. `request` gets the version: the only one in `versions`, or the highest
    /// that the controller also supports. `read` extracts the error from the response.
    pub async fn send<R: WireRequest, T>(
        &self,
        versions: RangeInclusive<i16>,
        request: impl FnOnce(i16) -> R,
        read: impl FnOnce(R::Response) -> Result<T, ErrorCode>,
    ) -> Result<T, NodeToControllerError> {
        let mut client = self.client.lock().await;
        let read = self
            .response(&mut client, versions, request)
            .await
            .and_then(|response| read(response).map_err(NodeToControllerError::Refused));
        let is_controller = match &read {
            Ok(_) => true,
            Err(NodeToControllerError::Refused(code)) => *code != ErrorCode::NotController,
            Err(_) => false,
        };
        if !is_controller {
            *client = None;
        }
        read
    }

    async fn response<R: WireRequest>(
        &self,
        client: &mut Option<NetworkClient>,
        versions: RangeInclusive<i16>,
        request: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, NodeToControllerError> {
        let address = self.controller().ok_or(NodeToControllerError::NoController)?;
        let client = match client.take() {
            Some(open) if *open.address() == address => client.insert(open),
            _ => client.insert(NetworkClient::new(address.clone(), self.settings.clone())),
        };
        let answered = async {
            let version = match versions.start() == versions.end() {
                true => *versions.start(),
                false => client.negotiate::<R>(versions).await?,
            };
            client.send(&request(version), version).await
        };
        // A new controller ends the wait for an old controller that hangs.
        let replaced = async {
            while self.controller().as_ref() == Some(&address) {
                self.changed.notified().await;
            }
        };
        tokio::select! {
            biased;
            response = answered => Ok(response?),
            () = replaced => Err(NodeToControllerError::Replaced(address.id)),
        }
    }
}

#[cfg(test)]
mod tests;
