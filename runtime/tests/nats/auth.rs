//! Each way to say who we are, to servers that want it.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer};
use runtime::broker::commit_alone;
use runtime::broker::nats::{NatsBroker, NatsError, NatsState, Party};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::feed::{Feed, until_ready, within};
use crate::server::{Servers, program};

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A publisher's broker; that it is ready says that it was let in and has made its streams.
async fn works(feed: &Feed, words: &str) -> NatsBroker {
    let broker = feed.ready(&format!("--nats-replicas 1 {words}")).await;
    let closes = [feed.close("A-USD", 1)];
    commit_alone(&broker, &closes).await.unwrap();
    broker
}

async fn is_refused(feed: &Feed, words: &str) {
    let broker = feed.begun(Party::Publisher, words);
    let error = within("a failure", broker.failed()).await;
    assert!(
        matches!(error, NatsError::Credentials(_)),
        "{words}: {error}"
    );
}

/// Waits for a trouble that is tried again, and gives its text.
async fn trouble(broker: &NatsBroker) -> String {
    let mut states = broker.state();
    let has_error = |state: &NatsState| !matches!(state, NatsState::Connecting { error: None });
    let not_ready = |state: &NatsState| has_error(state) && *state != NatsState::Ready;
    let state = within("a trouble", states.wait_for(not_ready)).await;
    match state.unwrap().clone() {
        NatsState::Connecting { error: Some(error) } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_nkey_is_proof() {
    let Some(program) = program() else { return };
    let (user, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        user.public_key()
    );
    let servers = Servers::one(&program, &users);
    let feed = Feed::new("nkey", &servers.urls());
    let folder = TempDir::new().unwrap();
    let seed = write(&folder, "user.nk", &format!("{}\n", user.seed().unwrap()));
    works(&feed, &format!("--nats-nkey {}", seed.display())).await;
    let seed = write(&folder, "stranger.nk", &stranger.seed().unwrap());
    is_refused(&feed, &format!("--nats-nkey {}", seed.display())).await;
}

/// A JWT as NATS has them: claims about a key, signed by the key above it.
fn jwt(of: &KeyPair, by: &KeyPair, nats: &Value) -> String {
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = json!({
        "jti": "test", "iat": 1_700_000_000, "iss": by.public_key(), "name": "test",
        "sub": of.public_key(), "nats": nats,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(&claims));
    let signature = by.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The servers' configuration, and a user's file.
fn operator() -> (String, String) {
    let (operator, user) = (KeyPair::new_operator(), KeyPair::new_user());
    // The servers' own account has no JetStream, and is wanted by it.
    let (account, system) = (KeyPair::new_account(), KeyPair::new_account());
    let says = json!({ "type": "operator", "version": 2 });
    let operator_jwt = jwt(&operator, &operator, &says);
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let says = json!({ "type": "account", "version": 2 });
    let system_jwt = jwt(&system, &operator, &says);
    let says = json!({ "limits": limits, "type": "account", "version": 2 });
    let account_jwt = jwt(&account, &operator, &says);
    let says = json!({ "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
    let user_jwt = jwt(&user, &account, &says);
    let (account, system) = (account.public_key(), system.public_key());
    let config = format!(
        "operator: {operator_jwt}\nsystem_account: {system}\nresolver: MEMORY\n\
         resolver_preload: {{ {account}: {account_jwt}, {system}: {system_jwt} }}\n"
    );
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    );
    (config, creds)
}

#[tokio::test]
async fn a_file_of_credentials_is_read_anew_for_each_session() {
    let Some(program) = program() else { return };
    let (config, creds) = operator();
    let mut servers = Servers::one(&program, &config);
    let feed = Feed::new("creds", &servers.urls());
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "user.creds", &creds);
    let words = format!("--nats-creds {}", path.display());
    let broker = works(&feed, &words).await;
    // Half written while the connection breaks, as a rotation may be: tried again.
    write(&folder, "user.creds", &creds[..creds.len() / 2]);
    servers.kill(0);
    servers.restart(0);
    let mut states = broker.state();
    let is_of_file = |state: &NatsState| matches!(state, NatsState::Connecting { error: Some(why) } if why.contains("credentials"));
    within("a trouble", states.wait_for(is_of_file))
        .await
        .unwrap();
    write(&folder, "user.creds", &creds);
    until_ready(&broker).await;
}

#[tokio::test]
async fn a_file_without_credentials_is_the_end() {
    let Some(program) = program() else { return };
    let (config, creds) = operator();
    let servers = Servers::one(&program, &config);
    let feed = Feed::new("none", &servers.urls());
    let folder = TempDir::new().unwrap();
    let (_, stranger) = operator();
    for text in ["", "garbage", &creds[..creds.len() / 2], &stranger] {
        let path = write(&folder, "bad.creds", text);
        is_refused(&feed, &format!("--nats-creds {}", path.display())).await;
    }
}

fn pem(folder: &TempDir, name: &str, kind: &str, der: &[u8]) -> PathBuf {
    let text = STANDARD.encode(der);
    write(
        folder,
        name,
        &format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"),
    )
}

/// An authority, and who is certified by it.
struct Authority {
    folder: TempDir,
    file: PathBuf,
    issuer: Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let file = pem(&folder, "ca.pem", "CERTIFICATE", certificate.der());
        let issuer = Issuer::new(params, key);
        Self {
            folder,
            file,
            issuer,
        }
    }

    /// Certificate and key of one end.
    fn certify(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (PathBuf, PathBuf) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (cert, secret) = (format!("{name}.pem"), format!("{name}.key"));
        (
            pem(&self.folder, &cert, "CERTIFICATE", certificate.der()),
            pem(&self.folder, &secret, "PRIVATE KEY", key.serialized_der()),
        )
    }

    /// The server's part of this, and users beside it.
    fn config(&self, more: &str) -> String {
        let (cert, key) = self.certify("server", ExtendedKeyUsagePurpose::ServerAuth);
        format!(
            "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, timeout: 10, {more} }}\n\
             authorization {{ users: [ {{ user: good, password: pw }} ] }}\n",
            cert, key, self.file
        )
    }
}

fn trusting(file: &Path, password: &str) -> String {
    format!(
        "--nats-tls-required --nats-tls-ca {} --nats-user good --nats-password {password}",
        file.display()
    )
}

#[tokio::test]
async fn a_password_goes_over_tls_to_a_server_that_is_trusted() {
    let Some(program) = program() else { return };
    let (ours, other) = (Authority::new(), Authority::new());
    let servers = Servers::one(&program, &ours.config(""));
    let feed = Feed::new("tls", &servers.urls());
    works(&feed, &trusting(&ours.file, "pw")).await;
    is_refused(&feed, &trusting(&ours.file, "bad")).await;
    let broker = feed.begun(Party::Publisher, &trusting(&other.file, "pw"));
    let why = trouble(&broker).await;
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_server_that_wants_our_certificate_gets_it() {
    let Some(program) = program() else { return };
    let authority = Authority::new();
    let servers = Servers::one(&program, &authority.config("verify: true"));
    let feed = Feed::new("mtls", &servers.urls());
    let (cert, key) = authority.certify("client", ExtendedKeyUsagePurpose::ClientAuth);
    let (cert, key) = (cert.display(), key.display());
    let words = trusting(&authority.file, "pw");
    works(
        &feed,
        &format!("{words} --nats-tls-cert {cert} --nats-tls-key {key}"),
    )
    .await;
    let without = feed.begun(Party::Publisher, &words);
    trouble(&without).await;
}

#[tokio::test]
async fn no_password_goes_to_a_server_without_tls() {
    let Some(program) = program() else { return };
    let users = "authorization { users: [ { user: good, password: pw } ] }";
    let servers = Servers::one(&program, users);
    let feed = Feed::new("plain", &servers.urls());
    let authority = Authority::new();
    let broker = feed.begun(Party::Publisher, &trusting(&authority.file, "pw"));
    trouble(&broker).await;
}
