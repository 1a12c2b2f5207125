//! The way to the API server.

use std::time::Duration;

use kube::Client;

/// How long the API server may be away while a connection is made.
const API_WAIT: Duration = Duration::from_secs(30);

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no cluster: {0}")]
    Infer(#[from] kube::config::InferConfigError),
    #[error("the cluster's configuration cannot be used: {0}")]
    Client(#[from] kube::Error),
}

/// As a pod of the cluster, or by a kubeconfig.
pub(crate) async fn infer() -> Result<Client, Error> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(API_WAIT);
    Ok(Client::try_from(config)?)
}
