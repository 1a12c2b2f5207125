// Pure: files of pods. Folders are mounted and never single files, so that what changes is seen: a renewed credential at
// the next connection, another assignment within a second.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount,
};

use super::names::{self, ASSIGNMENT_KEY};
use crate::ValidFeed;
use crate::spec::SecretKeyRef;
use crate::validate::ValidTls;

const ASSIGNMENT_VOLUME: &str = "assignment";

/// Readable by the pod's user and group, and nobody else.
const MODE: i32 = 0o440;

/// What is mounted where, and the variable that says so.
struct SecretFile {
    volume: &'static str,
    /// The Secret, and the key that is taken of it; all of them if none is named.
    secret: String,
    key: Option<String>,
    /// Variables and the file's name behind each.
    variables: Vec<(&'static str, String)>,
}

/// The Secrets of one process.
pub(super) struct Secrets<'a> {
    credentials: Option<&'a SecretKeyRef>,
    tls: &'a ValidTls,
}

impl<'a> Secrets<'a> {
    pub(super) fn of_marketdata(feed: &'a ValidFeed) -> Self {
        Self {
            credentials: feed.nats.credentials.as_ref(),
            tls: &feed.nats.tls,
        }
    }

    pub(super) fn of_gateway(feed: &'a ValidFeed) -> Self {
        Self {
            credentials: feed.nats.gateway_credentials.as_ref(),
            tls: &feed.nats.tls,
        }
    }

    pub(super) fn of_purge(feed: &'a ValidFeed) -> Self {
        Self {
            credentials: feed.nats.purge_credentials.as_ref(),
            tls: &feed.nats.tls,
        }
    }

    /// Variables, and the paths that they have.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.files().into_iter().flat_map(|file| {
            let folder = folder(file.volume);
            let path = move |(variable, name)| (variable, format!("{folder}/{name}"));
            file.variables.into_iter().map(path)
        })
    }

    /// The volumes, each with its mount.
    pub(super) fn volumes(&self) -> impl Iterator<Item = (Volume, VolumeMount)> {
        self.files().into_iter().map(|file| {
            let item = |key: String| KeyToPath {
                path: key.clone(),
                key,
                mode: None,
            };
            let volume = Volume {
                name: file.volume.to_owned(),
                secret: Some(SecretVolumeSource {
                    secret_name: Some(file.secret),
                    items: file.key.map(|key| vec![item(key)]),
                    default_mode: Some(MODE),
                    optional: None,
                }),
                ..Volume::default()
            };
            (volume, mount(file.volume))
        })
    }

    fn files(&self) -> Vec<SecretFile> {
        let of_key = |volume, variable, secret: &SecretKeyRef| SecretFile {
            volume,
            secret: secret.name.clone(),
            key: Some(secret.key.clone()),
            variables: vec![(variable, secret.key.clone())],
        };
        let credentials = self.credentials.iter();
        let credentials =
            credentials.map(|secret| of_key("nats-credentials", "NATS_CREDS", secret));
        let ca = self.tls.ca.iter();
        let ca = ca.map(|secret| of_key("nats-ca", "NATS_TLS_CA", secret));
        let client = self.tls.client.iter().map(|secret| SecretFile {
            volume: "nats-client",
            secret: secret.clone(),
            key: None,
            // As every Secret of type kubernetes.io/tls has them.
            variables: vec![
                ("NATS_TLS_CERT", "tls.crt".to_owned()),
                ("NATS_TLS_KEY", "tls.key".to_owned()),
            ],
        });
        credentials.chain(ca).chain(client).collect()
    }
}

/// The assignment's volume and mount.
pub(super) fn assignment(feed: &ValidFeed) -> (Volume, VolumeMount) {
    let volume = Volume {
        name: ASSIGNMENT_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: names::assignment(&feed.identity),
            default_mode: Some(MODE),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    (volume, mount(ASSIGNMENT_VOLUME))
}

/// Where a process finds it.
pub(super) fn assignment_path() -> String {
    format!("{}/{ASSIGNMENT_KEY}", folder(ASSIGNMENT_VOLUME))
}

fn mount(volume: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: folder(volume),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

fn folder(volume: &str) -> String {
    format!("/etc/marketfeed/{volume}")
}
