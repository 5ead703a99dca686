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
        if advertised.iter().any(|name| !bound.contains(name)) {
            let reason = format!(
                "requirement failed: advertised.listeners listener names must be equal to or a subset of the ones defined \
                 in listeners. Found {}. The valid options based on the current configuration are {}",
                advertised.join(","),
                bound.join(",")
            );
            return Err(reader.refuse("advertised.listeners", reason));
        }
        let source = ["inter.broker.listener.name", "security.inter.broker.protocol"];
        let source = if reader.is_set(source[1]) {
            source[1]
        } else {
            source[0]
        };
        if !advertised.contains(&self.inter_broker.as_str()) {
            let reason = not_advertised("inter.broker.listener.name", &advertised);
            return Err(reader.refuse(source, reason));
        }
        self.validate_early(reader)?;
        if self.advertised.iter().any(|e| e.host == "0.0.0.0") {
            let name = if reader.is_set("advertised.listeners") {
                "advertised.listeners"
            } else {
                "listeners"
            };
            let reason = "requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a \
                          routable IP address.";
            return Err(reader.refuse(name, reason));
        }
        if let Some(control_plane) = &self.control_plane {
            let name = "control.plane.listener.name";
            if !advertised.contains(&control_plane.as_str()) {
                return Err(reader.refuse(name, not_advertised(name, &advertised)));
            }
            if *control_plane == self.inter_broker {
                let reason = format!(
                    "requirement failed: control.plane.listener.name, when defined, should have a different value from the \
                     inter broker listener name. Currently they both have the value ListenerName({control_plane})"
                );
                return Err(reader.refuse(name, reason));
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
                let reason = format!(
                    "early.start.listeners contains listener {}, but this is not contained in listeners or \
                     controller.listener.names",
                    listener.to_uppercase()
                );
                return Err(reader.refuse(name, reason));
            }
        }
        Ok(())
    }
}

fn not_advertised(name: &str, advertised: &[&str]) -> String {
    format!(
        "requirement failed: {name} must be a listener name defined in advertised.listeners. The valid options based on \
         currently configured listeners are {}",
        advertised.join(",")
    )
}

fn protocol_map(reader: &Reader) -> Result<ProtocolMap, ConfigError> {
    let name = "listener.security.protocol.map";
    let text: String = reader.read(name)?;
    let mut map = ProtocolMap::new();
    // Java's split ignores empty pieces at the end.
    let text = text.trim_end_matches(|c: char| c == ',' || c.is_whitespace());
    for entry in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
        let Some((listener, protocol)) = entry.rsplit_once(':') else {
            let reason =
                format!("Error parsing configuration property '{name}': '{entry}' is not LISTENER:PROTOCOL");
            return Err(reader.refuse(name, reason));
        };
        let Some(protocol) = SecurityProtocol::parse(protocol.trim()) else {
            let reason = format!(
                "Invalid security protocol `{}` defined in {name}",
                protocol.trim()
            );
            return Err(reader.refuse(name, reason));
        };
        map.insert(listener.trim().to_uppercase(), protocol);
    }
    Ok(map)
}

/// Reads `LISTENER://host:port,…`; each listener may occur once.
fn endpoints(reader: &Reader, name: &str, protocols: &ProtocolMap) -> Result<Vec<Endpoint>, ConfigError> {
    let text: String = reader.read(name)?;
    let refuse = |reason: String| {
        reader.refuse(
            name,
            format!("Error creating broker listeners from '{text}': {reason}"),
        )
    };
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((listener, host, port)) = split_endpoint(entry) else {
            return Err(refuse(format!("Unable to parse {entry} to a broker endpoint")));
        };
        let Some(&security_protocol) = protocols.get(&listener) else {
            return Err(refuse(format!(
                "No security protocol defined for listener {listener}"
            )));
        };
        if endpoints.iter().any(|e| e.listener == listener) {
            let reason = "requirement failed: Each listener must have a different name, listeners:";
            return Err(reader.refuse(name, format!("{reason} {text}")));
        }
        endpoints.push(Endpoint {
            listener,
            security_protocol,
            host,
            port,
        });
    }
    if endpoints.is_empty() {
        let reason = "requirement failed: There must be at least one broker advertised listener.";
        return Err(reader.refuse(name, reason));
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
            let text: String = reader.read("listeners")?;
            let rule = match others().count() {
                1 => {
                    "requirement failed: If you have two listeners on the same port then one needs to be IPv4 and the \
                     other IPv6"
                }
                _ => {
                    "Each listener must have a different port unless exactly one listener has an IPv4 address and the \
                     other IPv6 address"
                }
            };
            let reason = format!("{rule}, listeners: {text}, port: {}", endpoint.port);
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
            let reason = format!("Only one of {name} and {protocol_name} should be set.");
            Err(reader.refuse(name, reason))
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
    let reason = match name {
        "control.plane.listener.name" => {
            format!("Listener with {listener} defined in {name} not found in listener.security.protocol.map.")
        }
        _ => format!(
            "Listener with name {listener} defined in {name} not found in listener.security.protocol.map."
        ),
    };
    Err(reader.refuse(name, reason))
}
