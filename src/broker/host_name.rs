//! Finds the host name that a listener without a host advertises. Kafka 3.9:
//! `InetAddress.getLocalHost().getCanonicalHostName()` in `KafkaServer.createBrokerInfo`.
//!
//! Other brokers and clients connect to this name. They cannot resolve the short name `kafka-0` of a Kubernetes pod,
//! but they can resolve `kafka-0.kafka.default.svc.cluster.local`. Both names are in the pod's `/etc/hosts`; on other
//! machines DNS has them.

use std::net::{IpAddr, SocketAddr};

use dns_lookup::{AddrInfoHints, getaddrinfo, getnameinfo};

/// AI_CANONNAME, the same number on every Linux.
const CANONICAL_NAME: i32 = 2;
/// NI_NAMEREQD, the same number on every Linux: a missing name is an error instead of the numeric address.
const NAME_REQUIRED: i32 = 8;
const SOCK_STREAM: i32 = 1;

/// The canonical name of this machine. The resolver may take seconds, so do not call this on a runtime's worker.
pub(super) fn canonical() -> String {
    let short = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let found = resolve(&short);
    choose(short, found, |address| {
        let name = getnameinfo(&SocketAddr::new(address, 0), NAME_REQUIRED).ok()?.0;
        // A name that resolves to another machine would be worse than no name.
        resolve(&name).addresses.contains(&address).then_some(name)
    })
}

/// The resolver's answer for a name.
#[derive(Default)]
struct Resolved {
    addresses: Vec<IpAddr>,
    canonical_name: Option<String>,
}

fn resolve(name: &str) -> Resolved {
    let hints = AddrInfoHints {
        socktype: SOCK_STREAM,
        flags: CANONICAL_NAME,
        ..AddrInfoHints::default()
    };
    let mut resolved = Resolved::default();
    for entry in getaddrinfo(Some(name), None, Some(hints))
        .into_iter()
        .flatten()
        .flatten()
    {
        resolved.addresses.push(entry.sockaddr.ip());
        resolved.canonical_name = resolved.canonical_name.or(entry.canonname);
    }
    // The same order as in Java.
    resolved.addresses.sort_by_key(IpAddr::is_ipv6);
    resolved
}

/// The name of the machine's first address, as in Java. If it has no name, the resolver's long form of the short name.
/// If that is missing too, the address itself, as in Java. If the short name does not resolve, the short name.
fn choose(short: String, resolved: Resolved, name_of: impl Fn(IpAddr) -> Option<String>) -> String {
    let Some(&address) = resolved.addresses.first() else {
        return if short.is_empty() {
            "localhost".into()
        } else {
            short
        };
    };
    let long_form = || resolved.canonical_name.filter(|name| name.contains('.'));
    name_of(address)
        .or_else(long_form)
        .unwrap_or_else(|| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_address_comes_before_the_long_form_and_that_before_the_address() {
        let address: IpAddr = "10.1.2.3".parse().unwrap();
        let cases = [
            (
                Some("kafka-0.kafka.svc"),
                Some("kafka-0.other"),
                true,
                "kafka-0.kafka.svc",
            ),
            (None, Some("kafka-0.other"), true, "kafka-0.other"),
            (None, Some("kafka-0"), true, "10.1.2.3"),
            (None, None, true, "10.1.2.3"),
            (None, None, false, "kafka-0"),
        ];
        for (reverse, long_form, resolves, expected) in cases {
            let resolved = Resolved {
                addresses: resolves.then_some(address).into_iter().collect(),
                canonical_name: long_form.map(str::to_owned),
            };
            let chosen = choose("kafka-0".into(), resolved, |_| reverse.map(str::to_owned));
            assert_eq!(chosen, expected);
        }
    }

    #[test]
    fn this_machine_has_a_name() {
        assert!(!canonical().is_empty());
    }
}
