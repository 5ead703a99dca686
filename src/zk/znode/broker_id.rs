//! `/brokers/ids/N`: a live broker's registration, JSON version 5. Kafka 3.9: `BrokerIdZNode`, `BrokerInfo`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::ZnodeError;
use super::json::{Object, to_bytes, to_i32, wrong_type};
use crate::config::{Endpoint, SecurityProtocol};

/// The version that barnabas writes.
const VERSION: i32 = 5;

/// A broker's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerInfo {
    /// Where the broker can be reached, in the order of `advertised.listeners`.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// -1 for no JMX.
    pub jmx_port: i32,
    /// When the broker registered, milliseconds since 1970; -1 if it did not say.
    pub timestamp_ms: i64,
    /// Supported features with the bounds of each range; always empty in a ZooKeeper cluster.
    pub features: BTreeMap<String, BTreeMap<String, i32>>,
}

impl BrokerInfo {
    /// A registration without JMX and features, as barnabas writes it.
    pub fn new(endpoints: Vec<Endpoint>, rack: Option<String>, timestamp_ms: i64) -> Self {
        Self {
            endpoints,
            rack,
            jmx_port: -1,
            timestamp_ms,
            features: BTreeMap::new(),
        }
    }

    /// The endpoint of this listener.
    #[cfg(test)]
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .find(|endpoint| endpoint.listener == listener)
    }

    /// The JSON. Its `host` and `port` are for clients that know only one endpoint: the first plaintext one, or
    /// null and -1.
    pub fn encode(&self) -> Bytes {
        let plaintext = self
            .endpoints
            .iter()
            .find(|endpoint| endpoint.security_protocol == SecurityProtocol::Plaintext);
        let protocols: Map<String, Value> = self
            .endpoints
            .iter()
            .map(|endpoint| {
                (
                    endpoint.listener.clone(),
                    endpoint.security_protocol.name().into(),
                )
            })
            .collect();
        let mut object = Map::new();
        object.insert("features".to_owned(), json!(self.features));
        object.insert(
            "listener_security_protocol_map".to_owned(),
            Value::Object(protocols),
        );
        let endpoints = self.endpoints.iter().map(endpoint_to_string).collect::<Vec<_>>();
        object.insert("endpoints".to_owned(), endpoints.into());
        if let Some(rack) = &self.rack {
            object.insert("rack".to_owned(), rack.as_str().into());
        }
        object.insert("jmx_port".to_owned(), self.jmx_port.into());
        object.insert(
            "port".to_owned(),
            plaintext.map_or(-1, |endpoint| i32::from(endpoint.port)).into(),
        );
        object.insert(
            "host".to_owned(),
            plaintext.map(|endpoint| endpoint.host.as_str()).into(),
        );
        object.insert("version".to_owned(), VERSION.into());
        object.insert("timestamp".to_owned(), self.timestamp_ms.to_string().into());
        to_bytes(&Value::Object(object))
    }

    /// Reads versions 1 to 5 and, as Kafka does, any later one in the same way. Required are `version`, `jmx_port` and,
    /// from version 2 on, `endpoints`; version 1 has `host` and `port` instead.
    pub fn decode(data: &[u8]) -> Result<Self, ZnodeError> {
        let object = Object::parse(data)?;
        let version = object.i32("version")?;
        let jmx_port = object.i32("jmx_port")?;
        let endpoints = match version {
            ..1 => return Err(ZnodeError::UnsupportedVersion(version)),
            1 => vec![Endpoint {
                listener: SecurityProtocol::Plaintext.name().to_owned(),
                security_protocol: SecurityProtocol::Plaintext,
                host: object.str("host")?.to_owned(),
                port: u16::try_from(object.i32("port")?).map_err(|_| wrong_type("port", "a port"))?,
            }],
            _ => decode_endpoints(&object)?,
        };
        Ok(Self {
            endpoints,
            rack: object.opt_str("rack")?.map(str::to_owned),
            jmx_port,
            timestamp_ms: object.i64_in_str("timestamp").unwrap_or(-1),
            features: decode_features(&object)?,
        })
    }
}

fn decode_endpoints(object: &Object) -> Result<Vec<Endpoint>, ZnodeError> {
    let protocols = match object.opt_object("listener_security_protocol_map")? {
        Some(map) => Some(map.string_values()?),
        None => None,
    };
    let protocol_of = |listener: &str| match &protocols {
        // Without a map the listener's name is that of its protocol.
        None => SecurityProtocol::parse(listener),
        Some(map) => map
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(listener))
            .and_then(|(_, protocol)| SecurityProtocol::parse(protocol)),
    };
    let texts = object.strings("endpoints")?;
    texts
        .iter()
        .map(|text| {
            endpoint_from_str(text, protocol_of)
                .ok_or_else(|| wrong_type("endpoints", "a list of LISTENER://host:port with known protocols"))
        })
        .collect()
}

fn decode_features(object: &Object) -> Result<BTreeMap<String, BTreeMap<String, i32>>, ZnodeError> {
    let Some(features) = object.opt_object("features")? else {
        return Ok(BTreeMap::new());
    };
    features
        .entries()
        .map(|(name, range)| {
            let range = range.as_object().ok_or_else(|| wrong_type(name, "an object"))?;
            let range: Result<_, _> = range
                .iter()
                .map(|(key, value)| Ok((key.clone(), to_i32(value, key)?)))
                .collect();
            Ok((name.clone(), range?))
        })
        .collect()
}

/// `LISTENER://host:port`, with an IPv6 address in brackets.
fn endpoint_to_string(endpoint: &Endpoint) -> String {
    let Endpoint {
        listener, host, port, ..
    } = endpoint;
    if host.contains(':') {
        format!("{listener}://[{host}]:{port}")
    } else {
        format!("{listener}://{host}:{port}")
    }
}

fn endpoint_from_str(text: &str, protocol_of: impl Fn(&str) -> Option<SecurityProtocol>) -> Option<Endpoint> {
    let (listener, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let listener = listener.to_ascii_uppercase();
    Some(Endpoint {
        security_protocol: protocol_of(&listener)?,
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: port.parse().ok()?,
        listener,
    })
}
