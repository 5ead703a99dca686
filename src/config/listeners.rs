//! Reads `listeners` and the related keys: the addresses on which a broker listens, the addresses that it advertises,
//! and the security protocol of each listener. Kafka 3.9: `SocketServerConfigs.listenerListToEndPoints`, `CoreUtils`,
//! `KafkaConfig`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::broker::{Endpoint, SecurityProtocol};
use super::error::ConfigError;
use super::reader::Reader;

/// All settings of listeners.
pub(super) struct Listeners {
    pub(super) bound: Vec<Endpoint>,
    pub(super) advertised: Vec<Endpoint>,
    pub(super) inter_broker: String,
    pub(super) control_plane: Option<String>,
}

/// Listener names, in upper case, and the security protocol of each.
type ProtocolMap = BTreeMap<String, SecurityProtocol>;

impl Listeners {
    pub(super) fn read(reader: &Reader) -> Result<Self, ConfigError> {
        let protocols = protocol_map(reader)?;
        let bound = endpoints(reader, "listeners", &protocols)?;
        require_distinct_ports(reader, &bound)?;
        let advertised = match reader.read::<Option<String>>("advertised.listeners")? {
            Some(_) => endpoints(reader, "advertised.listeners", &protocols)?,
            None => bound.clone(),
        };
        let listeners = Self {
            inter_broker: inter_broker_name(reader, &protocols)?,
            control_plane: control_plane_name(reader, &protocols)?,
            bound,
            advertised,
        };
        listeners.validate(reader)?;
        Ok(listeners)
    }

    fn validate(&self, reader: &Reader) -> Result<(), ConfigError> {
        let bound: Vec<&str> = self.bound.iter().map(|e| e.listener.as_str()).collect();
        let advertised: Vec<&str> = self.advertised.iter().map(|e| e.listener.as_str()).collect();
        if let Some(stranger) = advertised.iter().find(|name| !bound.contains(name)) {
            let reason = format!("{stranger} is not one of the listeners {}", bound.join(","));
            return Err(reader.refuse("advertised.listeners", reason));
        }
        let source = ["inter.broker.listener.name", "security.inter.broker.protocol"];
        let source = if reader.is_set(source[1]) {
            source[1]
        } else {
            source[0]
        };
        if !advertised.contains(&self.inter_broker.as_str()) {
            let reason = format!(
                "brokers would talk through {}, which is not one of the advertised listeners {}",
                self.inter_broker,
                advertised.join(",")
            );
            return Err(reader.refuse(source, reason));
        }
        self.validate_early(reader)?;
        if self.advertised.iter().any(|e| e.host == "0.0.0.0") {
            let name = if reader.is_set("advertised.listeners") {
                "advertised.listeners"
            } else {
                "listeners"
            };
            let reason =
                "nobody can connect to 0.0.0.0: set advertised.listeners to an address that others reach";
            return Err(reader.refuse(name, reason));
        }
        if let Some(control_plane) = &self.control_plane {
            let name = "control.plane.listener.name";
            if !advertised.contains(&control_plane.as_str()) {
                let reason = format!("must be one of the advertised listeners {}", advertised.join(","));
                return Err(reader.refuse(name, reason));
            }
            if *control_plane == self.inter_broker {
                return Err(reader.refuse(
                    name,
                    "must differ from the listener that brokers use among themselves",
                ));
            }
        }
        Ok(())
    }
}

impl Listeners {
    /// Kafka checks the listeners of KRaft nodes early, even if there are none.
    fn validate_early(&self, reader: &Reader) -> Result<(), ConfigError> {
        let name = "early.start.listeners";
        let early: Option<String> = reader.read(name)?;
        let early = early.as_deref().unwrap_or_default();
        let names = early.split(',').map(str::trim).filter(|name| !name.is_empty());
        for listener in names {
            let is_bound = |e: &&Endpoint| e.listener == listener.to_uppercase();
            if !self.bound.iter().any(|e| is_bound(&e)) {
                return Err(reader.refuse(name, format!("{listener} is not one of the listeners")));
            }
        }
        Ok(())
    }
}

fn protocol_map(reader: &Reader) -> Result<ProtocolMap, ConfigError> {
    let name = "listener.security.protocol.map";
    let text: String = reader.read(name)?;
    let mut map = ProtocolMap::new();
    // Java's split ignores empty pieces at the end.
    let text = text.trim_end_matches(|c: char| c == ',' || c.is_whitespace());
    for entry in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
        let Some((listener, protocol)) = entry.rsplit_once(':') else {
            return Err(reader.refuse(name, format!("'{entry}' is not LISTENER:PROTOCOL")));
        };
        let Some(protocol) = SecurityProtocol::parse(protocol.trim()) else {
            return Err(reader.refuse(name, format!("there is no security protocol '{protocol}'")));
        };
        map.insert(listener.trim().to_uppercase(), protocol);
    }
    Ok(map)
}

/// Reads `LISTENER://host:port,…`; each listener may occur once.
fn endpoints(reader: &Reader, name: &str, protocols: &ProtocolMap) -> Result<Vec<Endpoint>, ConfigError> {
    let text: String = reader.read(name)?;
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((listener, host, port)) = split_endpoint(entry) else {
            return Err(reader.refuse(name, format!("'{entry}' is not LISTENER://host:port")));
        };
        let Some(&security_protocol) = protocols.get(&listener) else {
            let reason = format!("listener {listener} is missing in listener.security.protocol.map");
            return Err(reader.refuse(name, reason));
        };
        if endpoints.iter().any(|e| e.listener == listener) {
            return Err(reader.refuse(name, format!("listener {listener} occurs twice")));
        }
        endpoints.push(Endpoint {
            listener,
            security_protocol,
            host,
            port,
        });
    }
    if endpoints.is_empty() {
        return Err(reader.refuse(name, "at least one listener is needed"));
    }
    Ok(endpoints)
}

/// Splits an entry into listener in upper case, host without brackets, and port.
fn split_endpoint(entry: &str) -> Option<(String, String, u16)> {
    let (listener, address) = entry.rsplit_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let valid = has_legal_host_characters(host) && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|_| valid)?;
    Some((listener.to_uppercase(), host.to_string(), port))
}

/// Whether every character may occur in the name or the address of a host.
pub(super) fn has_legal_host_characters(host: &str) -> bool {
    host.chars()
        .all(|c| c.is_ascii_alphanumeric() || "-%._:".contains(c))
}

/// Two listeners may share a port only if one has an IPv4 address and the other an IPv6 address.
fn require_distinct_ports(reader: &Reader, endpoints: &[Endpoint]) -> Result<(), ConfigError> {
    for (index, endpoint) in endpoints.iter().enumerate().filter(|(_, e)| e.port != 0) {
        let others = || {
            endpoints
                .iter()
                .enumerate()
                .filter(|(i, e)| *i != index && e.port == endpoint.port)
        };
        let is_v4 = |e: &Endpoint| e.host.parse::<IpAddr>().ok().map(|ip| ip.is_ipv4());
        let mut pair = others().map(|(_, other)| (is_v4(endpoint), is_v4(other)));
        let allowed = match (pair.next(), pair.next()) {
            (None, _) => true,
            (Some((Some(one), Some(other))), None) => one != other,
            _ => false,
        };
        if !allowed {
            let reason = format!(
                "several listeners have port {}; only an IPv4 and an IPv6 address may share one",
                endpoint.port
            );
            return Err(reader.refuse("listeners", reason));
        }
    }
    Ok(())
}

fn inter_broker_name(reader: &Reader, protocols: &ProtocolMap) -> Result<String, ConfigError> {
    let name = "inter.broker.listener.name";
    let protocol_name = "security.inter.broker.protocol";
    match reader.read::<Option<String>>(name)? {
        Some(_) if reader.is_set(protocol_name) => {
            Err(reader.refuse(name, format!("cannot be set together with {protocol_name}")))
        }
        Some(listener) => known_listener(reader, name, &listener, protocols),
        None => reader.read(protocol_name),
    }
}

fn control_plane_name(reader: &Reader, protocols: &ProtocolMap) -> Result<Option<String>, ConfigError> {
    let name = "control.plane.listener.name";
    let listener: Option<String> = reader.read(name)?;
    listener
        .map(|listener| known_listener(reader, name, &listener, protocols))
        .transpose()
}

fn known_listener(
    reader: &Reader,
    name: &str,
    listener: &str,
    protocols: &ProtocolMap,
) -> Result<String, ConfigError> {
    let listener = listener.to_uppercase();
    if protocols.contains_key(&listener) {
        return Ok(listener);
    }
    Err(reader.refuse(name, "no such listener in listener.security.protocol.map"))
}
