//! What is trusted in a request: the host names that are answered, and the proxies.

use std::net::IpAddr;

/// Which `Host` values are answered. A stranger's page can make a browser reach a
/// server on loopback under the stranger's own name (DNS rebinding).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Loopback's own names (`localhost`, `*.localhost`, 127.0.0.0/8, `[::1]`)
    /// when the server listens on loopback, any name otherwise.
    #[default]
    ByAddress,
    /// Any.
    Any,
    /// These, without ports.
    These(Vec<String>),
}

/// What a server trusts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    pub(crate) hosts: AllowedHosts,
    pub(crate) proxies: Vec<IpAddr>,
}

impl Trust {
    /// Whether the peer is a proxy that may say which client a request comes from.
    pub(crate) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.contains(&peer)
    }

    /// Whether connections from this address belong to other clients, because it is a
    /// proxy or a tunnel.
    pub(crate) fn speaks_for_others(&self, peer: IpAddr) -> bool {
        peer.is_loopback() || self.is_proxy(peer)
    }

    /// Whether this name, without its port, is answered on a listener of this kind.
    pub(crate) fn allows(&self, host: &str, is_loopback: bool) -> bool {
        match &self.hosts {
            AllowedHosts::Any => true,
            AllowedHosts::ByAddress => !is_loopback || is_loopback_name(host),
            AllowedHosts::These(names) => names.iter().any(|name| name.eq_ignore_ascii_case(host)),
        }
    }
}

fn is_loopback_name(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let last = host.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}
