//! The command line of `marketfeed-operator`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use runtime::args::{AdminArgs, LogArgs};

use crate::build::Release;

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
        default_value = "marketfeed-system"
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

/// The options of `marketfeed-operator run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Look after the MarketFeeds of this namespace only; of all namespaces if absent
    #[arg(long, value_name = "NAME", env = "MARKETFEED_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,

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
