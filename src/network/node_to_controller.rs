//! The channel from this broker to the controller. Kafka 3.9: `NodeToControllerChannelManager`.
//!
//! The owner says where the controller is, so the channel needs no metadata; it asks before each request. It keeps its
//! connection while the controller stays where it is and answers. Without a response, or after NOT_CONTROLLER, it drops the
//! connection and the next request begins anew (fact 71). One request is under way at a time, each is sent once: its owner
//! decides after what time, how often and with which content to send again. A controller is reached by network even if it
//! is this broker.

use std::ops::RangeInclusive;

use tokio::sync::Notify;

use super::client::{BrokerAddress, ClientSettings, NetworkClient, NetworkError};
use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;
use crate::protocol::WireRequest;

/// Where the controller is now, as far as this broker knows. Kafka 3.9: `ControllerNodeProvider`.
pub type ControllerNodeProvider = Box<dyn Fn() -> Option<BrokerAddress> + Send + Sync>;

/// Why the controller did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeToControllerError {
    /// This broker knows of no controller, or not where it listens.
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

/// The channel of one kind of request.
pub struct NodeToControllerChannelManager {
    controller: ControllerNodeProvider,
    settings: ClientSettings,
    changed: Notify,
    /// Locked while a request is under way.
    client: tokio::sync::Mutex<Option<NetworkClient>>,
}

impl NodeToControllerChannelManager {
    /// Does not connect yet.
    pub fn new(controller: ControllerNodeProvider, settings: ClientSettings) -> Self {
        Self {
            controller,
            settings,
            changed: Notify::new(),
            client: tokio::sync::Mutex::default(),
        }
    }

    /// Has a request that is under way end if the controller is another one now.
    pub fn controller_may_have_changed(&self) {
        self.changed.notify_one();
    }

    /// Where requests go now.
    pub fn controller(&self) -> Option<BrokerAddress> {
        (self.controller)()
    }

    /// Sends one request and reads its response. `request` is given the version: the only one of `versions`, or the
    /// highest that the controller speaks too. `read` finds the error of the response, wherever that is.
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
        // A controller that hangs holds no request up once there is another controller.
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
