// Pure: the configuration file of a server.
#![deny(clippy::disallowed_methods)]

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// What servers are to be like besides their ports and folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NatsOptions {
    /// Lines of the server's own configuration language for every node: `accounts`, `authorization`, `tls`, limits.
    pub extra: String,
}

impl NatsOptions {
    /// Servers with these lines in their configuration.
    #[must_use]
    pub fn with(extra: impl Into<String>) -> Self {
        Self {
            extra: extra.into(),
        }
    }
}

/// Where one server listens, and who its peers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `n1`, `n2`, ...
    pub(super) name: String,
    /// For clients.
    pub(super) client: SocketAddr,
    /// For HTTP.
    pub(super) monitor: SocketAddr,
    /// For the other servers; none where there are none.
    pub(super) route: Option<SocketAddr>,
    /// Where all servers of the cluster await each other.
    pub(super) routes: Vec<SocketAddr>,
}

/// The file's text. `store` is JetStream's folder.
pub(super) fn text(place: &Place, store: &Path, options: &NatsOptions) -> String {
    let Place {
        name,
        client,
        monitor,
        route,
        routes,
    } = place;
    let mut text = format!(
        "server_name: {name}\nlisten: \"{client}\"\nhttp: \"{monitor}\"\n\
         jetstream {{ store_dir: \"{}\", max_memory_store: 512MB, max_file_store: 8GB }}\n",
        store.display()
    );
    if let Some(route) = route {
        let urls: Vec<_> = routes.iter().map(|to| format!("\"nats://{to}\"")).collect();
        // Without no_advertise clients would be told of the servers themselves and go round their links.
        // The name is of this cluster alone, so that a stranger on a reused port is not taken in.
        let first = routes.first().map_or(0, SocketAddr::port);
        let _ = writeln!(
            text,
            "cluster {{ name: local-{first}, listen: \"{route}\", no_advertise: true, routes: [{}] }}",
            urls.join(", ")
        );
    }
    text.push_str(&options.extra);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn one_server_has_no_cluster_and_a_node_of_three_names_all() {
        let mut place = Place {
            name: "n1".into(),
            client: at(1),
            monitor: at(2),
            route: None,
            routes: Vec::new(),
        };
        let alone = text(
            &place,
            Path::new("/s"),
            &NatsOptions::with("max_payload: 9"),
        );
        assert!(alone.contains("listen: \"127.0.0.1:1\"\nhttp: \"127.0.0.1:2\""));
        assert!(alone.contains("store_dir: \"/s\"") && !alone.contains("cluster"));
        assert!(alone.ends_with("max_payload: 9\n"));
        place.route = Some(at(3));
        place.routes = vec![at(3), at(4), at(5)];
        let node = text(&place, Path::new("/s"), &NatsOptions::default());
        assert!(node.contains("no_advertise: true"));
        assert!(node.contains("routes: [\"nats://127.0.0.1:3\", \"nats://127.0.0.1:4\","));
    }
}
