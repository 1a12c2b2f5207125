//! Where NATS is, who we are to it, and what the streams shall be like.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use clap::Args;

use super::names::Party;

/// The bus between processes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsArgs {
    /// Servers to try, comma-separated or repeated: nats://host:4222, tls://host:4222
    #[arg(
        long = "nats-url",
        value_name = "URL",
        env = "MARKETFEED_NATS_URL",
        value_delimiter = ',',
        default_value = "nats://127.0.0.1:4222"
    )]
    pub nats_urls: Vec<NatsUrl>,
    /// File with a user's JWT and seed (.creds)
    #[arg(
        long,
        value_name = "FILE",
        env = "MARKETFEED_NATS_CREDS",
        conflicts_with_all = ["nats_nkey", "nats_user", "nats_token"]
    )]
    pub nats_creds: Option<PathBuf>,
    /// File with a user's NKey seed
    #[arg(
        long,
        value_name = "FILE",
        env = "MARKETFEED_NATS_NKEY",
        conflicts_with_all = ["nats_user", "nats_token"]
    )]
    pub nats_nkey: Option<PathBuf>,
    /// User name, with --nats-password
    #[arg(
        long,
        value_name = "NAME",
        env = "MARKETFEED_NATS_USER",
        requires = "nats_password",
        conflicts_with = "nats_token"
    )]
    pub nats_user: Option<String>,
    /// Password of --nats-user
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "MARKETFEED_NATS_PASSWORD",
        hide_env_values = true,
        requires = "nats_user"
    )]
    pub nats_password: Option<String>,
    /// Token, where the servers take one
    #[arg(
        long,
        value_name = "TOKEN",
        env = "MARKETFEED_NATS_TOKEN",
        hide_env_values = true
    )]
    pub nats_token: Option<String>,
    /// File with the certificates to trust (PEM); the system's if absent
    #[arg(long, value_name = "FILE", env = "MARKETFEED_NATS_TLS_CA")]
    pub nats_tls_ca: Option<PathBuf>,
    /// File with our certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "MARKETFEED_NATS_TLS_CERT",
        requires = "nats_tls_key"
    )]
    pub nats_tls_cert: Option<PathBuf>,
    /// File with our certificate's key (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "MARKETFEED_NATS_TLS_KEY",
        requires = "nats_tls_cert"
    )]
    pub nats_tls_key: Option<PathBuf>,
    /// Speak to no server without TLS
    #[arg(long, env = "MARKETFEED_NATS_TLS_REQUIRED")]
    pub nats_tls_required: bool,
    /// Servers that hold each close, 1 to 5; no more than the cluster has
    #[arg(
        long,
        value_name = "N",
        env = "MARKETFEED_NATS_REPLICAS",
        default_value_t = 3,
        value_parser = clap::value_parser!(u8).range(1..=5)
    )]
    pub nats_replicas: u8,
    /// Closes that the log keeps of each topic
    #[arg(
        long,
        value_name = "N",
        env = "MARKETFEED_NATS_CLOSES_PER_TOPIC",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub nats_closes_per_topic: u32,
    /// Whom the streams belong to, written into them; the feed's environment if absent
    #[arg(long, value_name = "ID", env = "MARKETFEED_NATS_OWNER")]
    pub nats_owner: Option<String>,
}

/// A server's address. User and password do not go into it: they would show in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsUrl(ServerAddr);

/// Why text is not a server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NatsUrlError {
    /// Not a URL, or of another scheme.
    #[error("{0:?} is no NATS address: write nats://host:4222 or tls://host:4222")]
    Malformed(String),
    /// With a user in it.
    #[error("give user and password by --nats-user and --nats-password, not in the address")]
    Credentials,
}

impl std::str::FromStr for NatsUrl {
    type Err = NatsUrlError;

    fn from_str(text: &str) -> Result<Self, NatsUrlError> {
        let malformed = || NatsUrlError::Malformed(text.to_owned());
        let address: ServerAddr = text.trim().parse().map_err(|_| malformed())?;
        if address.has_user_pass() || address.password().is_some() {
            return Err(NatsUrlError::Credentials);
        }
        if address.is_websocket() || address.host().is_empty() {
            return Err(malformed());
        }
        Ok(Self(address))
    }
}

/// How we say who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Auth {
    #[default]
    None,
    Creds(PathBuf),
    NKey(PathBuf),
    Password(String, String),
    Token(String),
}

/// What [`super::NatsBroker::connect`] is given.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    urls: Vec<ServerAddr>,
    auth: Auth,
    tls_ca: Option<PathBuf>,
    tls_identity: Option<(PathBuf, PathBuf)>,
    tls_required: bool,
    pub(super) party: Party,
    pub(super) replicas: u8,
    pub(super) closes_per_topic: u32,
    pub(super) owner: Option<String>,
    pub(super) timings: Timings,
}

/// How long is waited for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timings {
    /// For one server to answer to a connection.
    pub(super) connect: Duration,
    /// For a read to succeed, its repetitions and a connection included.
    pub(super) read: Duration,
    /// For one try of a read: less than an election takes, so that the try after it comes soon.
    pub(super) attempt: Duration,
    /// For the answer to a commit's first message, after which the commit may be tried again at no risk.
    pub(super) begin: Duration,
    /// For the answer to a commit's last message. The leader may have to wait for another replica; but one that is lost
    /// with a commit in its hands never answers, and what is asked next finds out what became of it.
    pub(super) commit: Duration,
    /// For a lease: a third of its time to live.
    pub(super) lease: Duration,
    /// For open bars to be taken by the connection.
    pub(super) publish: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            read: Duration::from_secs(5),
            attempt: Duration::from_secs(1),
            begin: Duration::from_secs(2),
            commit: Duration::from_millis(2_500),
            lease: Duration::from_secs(1),
            publish: Duration::from_secs(1),
        }
    }
}

/// Why the options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NatsOptionsError {
    /// A file that is to be read is not there.
    #[error("{option} {}: {source}", path.display())]
    File {
        /// The option that named it.
        option: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl NatsArgs {
    /// Checks what can be checked before anything is tried: the files can be read.
    ///
    /// # Errors
    /// Names the option and the file.
    pub fn options(self, party: Party) -> Result<NatsOptions, NatsOptionsError> {
        let files = [
            ("--nats-creds", &self.nats_creds),
            ("--nats-nkey", &self.nats_nkey),
            ("--nats-tls-ca", &self.nats_tls_ca),
            ("--nats-tls-cert", &self.nats_tls_cert),
            ("--nats-tls-key", &self.nats_tls_key),
        ];
        for (option, path) in files {
            if let Some(path) = path {
                check_file(option, path)?;
            }
        }
        let user = self.nats_user.zip(self.nats_password);
        let auth = match (self.nats_creds, self.nats_nkey, user, self.nats_token) {
            (Some(file), ..) => Auth::Creds(file),
            (_, Some(file), ..) => Auth::NKey(file),
            (_, _, Some((user, password)), _) => Auth::Password(user, password),
            (.., Some(token)) => Auth::Token(token),
            (None, None, None, None) => Auth::None,
        };
        Ok(NatsOptions {
            urls: self.nats_urls.into_iter().map(|url| url.0).collect(),
            auth,
            tls_ca: self.nats_tls_ca,
            tls_identity: self.nats_tls_cert.zip(self.nats_tls_key),
            tls_required: self.nats_tls_required,
            party,
            replicas: self.nats_replicas,
            closes_per_topic: self.nats_closes_per_topic,
            owner: self.nats_owner,
            timings: Timings::default(),
        })
    }
}

fn check_file(option: &'static str, path: &Path) -> Result<(), NatsOptionsError> {
    let opened = std::fs::File::open(path);
    opened.map(|_| ()).map_err(|source| NatsOptionsError::File {
        option,
        path: path.to_path_buf(),
        source,
    })
}

impl NatsOptions {
    /// The servers, in an order of chance, so that clients spread over them.
    pub(super) fn shuffled_urls(&self) -> Vec<ServerAddr> {
        let mut urls = self.urls.clone();
        fastrand::shuffle(&mut urls);
        urls
    }

    /// What the client is told of us. Files are read each time, so that renewed credentials are used.
    pub(super) async fn client_options(&self) -> std::io::Result<ConnectOptions> {
        let options = ConnectOptions::new();
        let options = match &self.auth {
            Auth::None => options,
            Auth::Creds(file) => options.credentials_file(file).await?,
            Auth::NKey(file) => options.nkey(std::fs::read_to_string(file)?.trim().to_owned()),
            Auth::Password(user, password) => {
                options.user_and_password(user.clone(), password.clone())
            }
            Auth::Token(token) => options.token(token.clone()),
        };
        let options = match &self.tls_ca {
            Some(file) => options.add_root_certificates(file.clone()),
            None => options,
        };
        let options = match &self.tls_identity {
            Some((cert, key)) => options.add_client_certificate(cert.clone(), key.clone()),
            None => options,
        };
        Ok(options
            .require_tls(self.tls_required)
            .connection_timeout(self.timings.connect))
    }
}
