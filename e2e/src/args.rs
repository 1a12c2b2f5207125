//! The command line of `e2e`. Pure.

#![deny(clippy::disallowed_methods)]

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use e2e::scenarios::{Image, Stock};
use lexopt::{Arg, Parser, ValueExt};

/// What `e2e --help` prints.
pub(crate) const HELP: &str = "\
e2e --root <dir> --folder <dir> --image <name>[=<archive>] --nats-image <name>[=<archive>]

  runs scenarios on a real cluster; the few that are always tried, if nothing else is said
    --all                            all of them
    --only <name>                    this one (repeatable)
    --keep                           after a failure the cluster stays as it is until Ctrl-C, and no more is tried
    --kubeconfig <file>              on this cluster, and not on one that is made for it
                                     (what scenarios have made is removed from it at the end)
    --root <dir>                     the checkout, of which the chart and the examples are tried
    --folder <dir>                   the cluster's data, and the logs of failures
    --image <name>[=<archive>]       what is tried
    --nats-image <name>[=<archive>]  nats-server
    --later-image <name>[=<archive>] a release that writes other bars
";

/// One parsed command line.
#[derive(Debug)]
pub(crate) enum Command {
    /// To run scenarios.
    Run(Box<Run>),
    /// To tell how.
    Help,
}

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Run {
    /// All of them.
    pub(crate) all: bool,
    /// These.
    pub(crate) only: Vec<String>,
    /// The cluster stays after a failure.
    pub(crate) keep: bool,
    /// The cluster to run them on.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// What they are made of.
    pub(crate) stock: Stock,
}

/// Parses the arguments after the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut parser = Parser::from_args(args);
    let (mut all, mut keep, mut only) = (false, false, Vec::new());
    let (mut kubeconfig, mut root, mut folder) = (None, None, None);
    let (mut ours, mut nats, mut later) = (None, None, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("all") => all = true,
            Arg::Long("keep") => keep = true,
            Arg::Long("only") => only.push(parser.value()?.string()?),
            Arg::Long("kubeconfig") => kubeconfig = Some(parser.value()?.into()),
            Arg::Long("root") => root = Some(parser.value()?.into()),
            Arg::Long("folder") => folder = Some(parser.value()?.into()),
            Arg::Long("image") => ours = Some(image(&parser.value()?.string()?)?),
            Arg::Long("nats-image") => nats = Some(image(&parser.value()?.string()?)?),
            Arg::Long("later-image") => later = Some(image(&parser.value()?.string()?)?),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let stock = Stock {
        root: root.context("--root is missing")?,
        image: ours.context("--image is missing")?,
        nats: nats.context("--nats-image is missing")?,
        later,
        folder: folder.context("--folder is missing")?,
    };
    Ok(Command::Run(Box::new(Run {
        all,
        only,
        keep,
        kubeconfig,
        stock,
    })))
}

/// `localhost/marketfeed:0.1.0=target/image/marketfeed.tar`
fn image(text: &str) -> Result<Image> {
    let (name, archive) = match text.split_once('=') {
        Some((name, archive)) => (name, Some(PathBuf::from(archive))),
        None => (text, None),
    };
    let Some((repository, tag)) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))
    else {
        bail!("{name} has no tag: write it as localhost/marketfeed:0.1.0");
    };
    Ok(Image {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        archive,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_command_line() {
        let line = "--root r --folder f --image localhost/a:1=a.tar --nats-image h:5000/n:2 --only x --only y --keep";
        let Ok(Command::Run(run)) = words(line) else {
            panic!()
        };
        let Run {
            all,
            only,
            keep,
            kubeconfig,
            stock,
        } = *run;
        assert_eq!((all, keep, kubeconfig), (false, true, None));
        assert_eq!(only, ["x", "y"]);
        assert_eq!(stock.image.name(), "localhost/a:1");
        assert_eq!(stock.image.archive, Some("a.tar".into()));
        assert_eq!(
            (stock.nats.repository.as_str(), stock.nats.tag.as_str()),
            ("h:5000/n", "2")
        );
        assert_eq!(stock.later, None);
    }

    #[test]
    fn refusals() {
        let refuse = |line: &str, part: &str| {
            let error = words(line).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        };
        refuse(
            "--folder f --image a:1 --nats-image n:1",
            "--root is missing",
        );
        refuse("--image a", "has no tag");
        refuse("--image host:5000/a", "has no tag");
        refuse("--al", "--al");
    }
}
