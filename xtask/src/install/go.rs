//! Go, which is never installed here: what is built with it is left out where there is none that is new enough.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::find;
use crate::process;

/// The oldest that compiles what is built here (major, minor). Debian 12's is 1.19.
const GO_MIN: (u32, u32) = (1, 26);

/// That there is a Go that is new enough.
pub(super) fn go() -> Result<()> {
    let wanted = format!("Go {}.{} or later is needed", GO_MIN.0, GO_MIN.1);
    if find("go").is_none() {
        bail!("{wanted}, and there is no go in PATH");
    }
    let version = process::read(Command::new("go").args(["env", "GOVERSION"]))?;
    let found = go_version(&version).context("go does not say its version")?;
    if found < GO_MIN {
        bail!("{wanted}, and this is {}", version.trim());
    }
    Ok(())
}

/// `go1.26.8` -> (1, 26)
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix("go")?.split('.');
    // A release candidate is `go1.27rc1`.
    let number = |part: &str| {
        part.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    Some((number(numbers.next()?)?, number(numbers.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions() {
        assert_eq!(go_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(go_version("go1.27rc1"), Some((1, 27)));
        assert_eq!(go_version("go1.19"), Some((1, 19)));
        assert_eq!(go_version("devel +abc"), None);
        assert_eq!(go_version(""), None);
    }
}
