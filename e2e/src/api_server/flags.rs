//! The command lines of an API server without nodes. Pure.

#![deny(clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::path::Path;

/// The audit log's name in the folder.
pub(super) const AUDIT_LOG: &str = "audit.log";

/// `nodens`: authorities, certificates and kubeconfigs for a server at an address.
pub(super) fn pki(folder: &Path, address: SocketAddr) -> Vec<String> {
    vec![
        "pki".to_owned(),
        "-dir".to_owned(),
        path(folder, "pki"),
        format!("-server=https://{address}"),
    ]
}

/// One member that loses everything in a power cut: nobody will ask.
pub(super) fn etcd(folder: &Path, client: SocketAddr, peer: SocketAddr) -> Vec<String> {
    vec![
        "--name=e0".to_owned(),
        format!("--data-dir={}", path(folder, "etcd")),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
        format!("--listen-client-urls=http://{client}"),
        format!("--advertise-client-urls=http://{client}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster=e0=http://{peer}"),
    ]
}

/// As a cluster's, but on loopback; service accounts and rules of access are checked.
pub(super) fn api_server(
    folder: &Path,
    etcd: SocketAddr,
    address: SocketAddr,
    audit_policy: &Path,
) -> Vec<String> {
    let pki = |file: &str| path(folder, &format!("pki/{file}"));
    vec![
        format!("--etcd-servers=http://{etcd}"),
        format!("--bind-address={}", address.ip()),
        format!("--secure-port={}", address.port()),
        format!("--advertise-address={}", address.ip()),
        // Nobody is to find it by a Service.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        format!("--service-account-key-file={}", pki("sa.pub")),
        format!("--service-account-signing-key-file={}", pki("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--audit-policy-file={}", audit_policy.display()),
        format!("--audit-log-path={}", path(folder, AUDIT_LOG)),
        // An entry is in the file when its request is answered.
        "--audit-log-mode=blocking".to_owned(),
        // MiB: a place in the log is a place in this one file.
        "--audit-log-maxsize=4096".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

/// Some controllers of kube-controller-manager, without a port. As the administrator: each has an account of its own otherwise,
/// which would have to be made first.
pub(super) fn controllers(folder: &Path, which: &[&str]) -> Vec<String> {
    let kubeconfig = path(folder, "pki/admin.kubeconfig");
    vec![
        format!("--kubeconfig={kubeconfig}"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--use-service-account-credentials=false".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            path(folder, "pki/sa.key")
        ),
        format!("--root-ca-file={}", path(folder, "pki/ca.crt")),
        format!("--controllers={}", which.join(",")),
    ]
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}
