//! Clients of the API server from kubeconfigs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

/// How long one look may take: a server that starts takes connections before it answers.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// A client of the cluster and user of a kubeconfig.
///
/// # Errors
/// When the file cannot be used.
pub async fn of(kubeconfig: &Path) -> Result<Client> {
    let shown = || format!("the kubeconfig {} cannot be used", kubeconfig.display());
    let read = Kubeconfig::read_from(kubeconfig).with_context(shown)?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    Client::try_from(config.with_context(shown)?).with_context(shown)
}

/// Whether the API server says that it is ready.
pub(crate) async fn is_ready(client: &Client) -> bool {
    let request = hyper::Request::get("/readyz").body(Vec::new());
    let Ok(request) = request else { return false };
    let said = tokio::time::timeout(LOOK_MAX, client.request_text(request)).await;
    matches!(said, Ok(Ok(text)) if text == "ok")
}

/// The kubeconfig of the same cluster for the bearer of a token.
pub(crate) fn kubeconfig_with_token(kubeconfig: &Path, token: &str) -> Result<String> {
    let text = fs::read_to_string(kubeconfig)
        .with_context(|| format!("cannot read {}", kubeconfig.display()))?;
    let mut config: Value = serde_yaml_ng::from_str(&text).context("no kubeconfig")?;
    for user in config["users"].as_array_mut().into_iter().flatten() {
        user["user"] = json!({ "token": token });
    }
    Ok(config.to_string())
}
