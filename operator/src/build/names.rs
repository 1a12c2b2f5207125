// Pure: what things are called. The names of what a feed consists of begin with its own.
#![deny(clippy::disallowed_methods)]

use wire::ShardId;

use crate::validate::Identity;

/// Who applies the objects.
pub const FIELD_MANAGER: &str = "marketfeed-operator";

/// Who applies `replicas` of the gateways where no autoscaler does: a manager of its own, so that the number can be handed
/// over without ever being absent.
pub const REPLICAS_FIELD_MANAGER: &str = "marketfeed-operator-replicas";

/// Which feed something belongs to.
pub const FEED_LABEL: &str = "marketfeed.dev/feed";

/// Which shard a pod serves.
pub const SHARD_LABEL: &str = "marketfeed.dev/shard";

/// What kind of process a pod is; a word of [`Component`].
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// The assignment's generation, on its ConfigMap and on pods that run. Not on the pods' template: there it would restart
/// them. Changed on a pod, it makes the kubelet refresh the pod's files at once.
pub const GENERATION_ANNOTATION: &str = "marketfeed.dev/assignment-generation";

/// Kubernetes' own: of a ReplicaSet's pods those of the lowest number go first; 0 where there is none.
pub const DELETION_COST_ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What a Deployment was made from, on it: after a start of the operator it tells those that change from the others.
pub const MADE_FROM_ANNOTATION: &str = "marketfeed.dev/made-from";

/// The bar lengths, on the template of the shards' pods: a process takes no others while it runs, so that a change has to
/// restart them.
pub const INTERVALS_ANNOTATION: &str = "marketfeed.dev/intervals";

/// The container that a pod consists of.
pub const CONTAINER: &str = "marketfeed";

/// The port of metrics, probes and state.
pub const ADMIN_PORT: i32 = 9_090;

/// Its name.
pub const ADMIN_PORT_NAME: &str = "admin";

/// The port that clients connect to.
pub const CLIENTS_PORT: i32 = 8_080;

/// Its name.
pub const CLIENTS_PORT_NAME: &str = "clients";

/// The key of the assignment in its ConfigMap, and its file's name.
pub const ASSIGNMENT_KEY: &str = "assignment.json";

/// The metric that the autoscaler may look at.
pub const CONNECTIONS_METRIC: &str = "ws_connections";

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// Trades to bars.
    Marketdata,
    /// Bars to clients.
    Gateway,
    /// Removes what is on the bus.
    Purge,
}

impl Component {
    /// Its word in labels and names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Marketdata => "marketdata",
            Self::Gateway => "gateway",
            Self::Purge => "purge",
        }
    }
}

/// The ConfigMap.
#[must_use]
pub fn assignment(feed: &Identity) -> String {
    format!("{}-assignment", feed.name)
}

/// A shard's Deployment and budget.
#[must_use]
pub fn shard(feed: &Identity, shard: ShardId) -> String {
    format!("{}-shard-{shard}", feed.name)
}

/// What there is once for a component.
#[must_use]
pub fn component(feed: &Identity, component: Component) -> String {
    format!("{}-{}", feed.name, component.as_str())
}
