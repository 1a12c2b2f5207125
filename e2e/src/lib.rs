//! A real Kubernetes for tests: its API server alone as processes of this machine ([`ApiServer`]), or a whole cluster with
//! kubelets and containers ([`Cluster`]), made by the scripts in `e2e/cluster/` or given by a kubeconfig.
//!
//! It is not shipped, and it links none of what it starts. Everything listens on loopback or in network namespaces of its own,
//! and is ended by its guard. Read first [`ApiServer`], [`Cluster`], [`Kubectl`] and [`AuditLog`].

/// Where the programs are.
pub mod programs;

/// Clients from kubeconfigs.
pub mod client;

/// `kubectl`.
pub mod kubectl;

/// What the API server was asked.
pub mod audit;

/// etcd, the API server and, where wanted, its controllers, without nodes.
pub mod api_server;

/// Temporary folders.
pub mod scratch;

/// All of it, with nodes.
pub mod whole;

/// `helm`.
pub mod helm;

/// What must hold of the platform in a whole cluster.
pub mod scenarios;

/// Ways from loopback into a cluster.
pub mod forward;

pub use api_server::ApiServer;
pub use audit::{AuditLog, Entry, Mark};
pub use forward::Forward;
pub use kubectl::{Kubectl, Said};
pub use programs::Programs;
pub use whole::{Cluster, Options};
