//! The command line of `marketfeed-operator`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use runtime::args::{AdminArgs, LogArgs, duration};

use crate::build::Release;
use crate::controller::Where;
use crate::leave::bundled::Bundled;

/// Where the operator is, if nothing else is said.
const DEFAULT_NAMESPACE: &str = "marketfeed-system";

/// MarketFeed resources in, the Kubernetes objects that run them out
#[derive(Debug, Parser)]
#[command(name = "marketfeed-operator", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look after MarketFeeds, in the cluster that it runs in or that a kubeconfig names
    Run(Box<RunArgs>),
    /// End the operator and let its feeds go, before it is uninstalled: what it made runs on
    Leave(Box<LeaveArgs>),
    /// Print the definition of the resource, for kubectl apply -f -
    Crd,
    /// Say what a MarketFeed would run and what a change would move, without a cluster
    Plan(PlanArgs),
}

/// What the operator knows of itself, for the objects that it makes.
#[derive(Debug, Clone, Args)]
pub struct ReleaseArgs {
    /// The image of feeds that pin none
    #[arg(
        long,
        value_name = "IMAGE",
        env = "MARKETFEED_IMAGE",
        default_value = concat!("marketfeed:", env!("CARGO_PKG_VERSION"))
    )]
    pub image: String,

    /// Where the operator runs: its Lease is there, and NetworkPolicies let it in from there
    #[arg(
        long,
        value_name = "NAME",
        env = "MARKETFEED_OPERATOR_NAMESPACE",
        default_value = DEFAULT_NAMESPACE
    )]
    pub operator_namespace: String,
}

impl From<ReleaseArgs> for Release {
    fn from(args: ReleaseArgs) -> Self {
        let ReleaseArgs {
            image,
            operator_namespace,
        } = args;
        Self {
            image,
            namespace: operator_namespace,
        }
    }
}

/// Where feeds are looked after.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Look after the MarketFeeds of this namespace only; of all namespaces if absent
    #[arg(
        long,
        value_name = "NAME",
        env = "MARKETFEED_WATCH_NAMESPACE",
        value_parser = namespace
    )]
    pub watch_namespace: Option<String>,

    /// Leave this namespace to another operator; may be given again, or as a list with commas
    #[arg(
        long = "except-namespace",
        value_name = "NAME",
        env = "MARKETFEED_EXCEPT_NAMESPACES",
        value_delimiter = ',',
        value_parser = namespace,
        conflicts_with = "watch_namespace"
    )]
    pub except_namespaces: Vec<String>,
}

/// A namespace's name, as Kubernetes takes it.
fn namespace(text: &str) -> Result<String, String> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (1..=63).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if is_name {
        Ok(text.to_owned())
    } else {
        Err(
            "no namespace has that name: write lower-case letters, digits and inner hyphens"
                .to_owned(),
        )
    }
}

impl From<PlaceArgs> for Where {
    fn from(args: PlaceArgs) -> Self {
        let PlaceArgs {
            watch_namespace,
            except_namespaces,
        } = args;
        let everywhere = Self::Everywhere {
            except: except_namespaces.into_iter().collect(),
        };
        watch_namespace.map_or(everywhere, Self::Namespace)
    }
}

/// The options of `marketfeed-operator leave`.
#[derive(Debug, Clone, Args)]
pub struct LeaveArgs {
    /// The operator's Deployment
    #[arg(long, value_name = "NAME", env = "MARKETFEED_OPERATOR_DEPLOYMENT")]
    pub operator_deployment: String,

    /// Where that is
    #[arg(
        long,
        value_name = "NAME",
        env = "MARKETFEED_OPERATOR_NAMESPACE",
        default_value = DEFAULT_NAMESPACE
    )]
    pub operator_namespace: String,

    /// Whose feeds are let go.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// A Service of a NATS that goes with the operator, by any of its names: while feeds use it nothing is done; may be given
    /// again, or as a list with commas
    #[arg(
        long,
        value_name = "SERVICE",
        env = "MARKETFEED_BUNDLED_NATS",
        value_delimiter = ','
    )]
    pub bundled_nats: Vec<Bundled>,

    /// Its log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The options of `marketfeed-operator run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Where feeds are looked after.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// How long a shard that is not wanted any more goes on, whether or not others are heard: for tests, in which nobody would be
    #[arg(long, value_name = "DURATION", hide = true, value_parser = duration)]
    pub shard_linger: Option<Duration>,

    /// What it knows of itself.
    #[command(flatten)]
    pub release: ReleaseArgs,

    /// Its state.
    #[command(flatten)]
    pub admin: AdminArgs,

    /// Its log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The options of `marketfeed-operator plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// The MarketFeed, as YAML or JSON; - is the standard input
    #[arg(long, short = 'f', value_name = "FILE", env = "MARKETFEED_FILE")]
    pub file: PathBuf,

    /// The assignment in force, to go on from: key assignment.json of the feed's ConfigMap, or a file of assign
    #[arg(long, value_name = "FILE", env = "MARKETFEED_ASSIGNMENT")]
    pub assignment: Option<PathBuf>,

    /// Where the feed is, if its file names no namespace
    #[arg(
        long,
        short = 'n',
        value_name = "NAME",
        env = "MARKETFEED_NAMESPACE",
        default_value = "default"
    )]
    pub namespace: String,
    /// What it knows of itself.
    #[command(flatten)]
    pub release: ReleaseArgs,

    /// Print the objects that would be applied, as YAML, and nothing else
    #[arg(long, env = "MARKETFEED_OBJECTS")]
    pub objects: bool,
}
