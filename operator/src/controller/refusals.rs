//! What the API server refuses of a feed: all else is done, it is told, and tried again after a pause.

use kube::core::Status;

use super::context::Error;

/// Those of one look.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// What is refused, each with the server's words.
    told: Vec<String>,
    first: Option<Error>,
    /// Whether any was because the namespace is being removed.
    is_ending: bool,
    /// Whether failures of the server's own do not pass.
    is_lasting: bool,
}

/// Looks in a row that may fail before a failure of the server's own is told as a refusal.
const PASSING_MAX: u32 = 3;

impl Refusals {
    /// None yet, after so many looks in a row that have failed.
    pub(super) fn after(failed: u32) -> Self {
        Self {
            is_lasting: failed >= PASSING_MAX,
            ..Self::default()
        }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.told.len()
    }

    /// Keeps a refusal, and gives `None` for it.
    ///
    /// # Errors
    /// With any other: then the API server is away, or what is known is behind, and the look ends.
    pub(super) fn handle<T>(
        &mut self,
        of: &str,
        outcome: Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let error = match outcome {
            Ok(done) => return Ok(Some(done)),
            Err(error) => error,
        };
        let Some(words) = words(&error, self.is_lasting) else {
            return Err(error);
        };
        self.told.push(format!("{of}: {words}"));
        self.is_ending |= matches!(
            &error,
            Error::Api { source: kube::Error::Api(status), .. } if is_terminating(status)
        );
        self.first.get_or_insert(error);
        Ok(None)
    }

    /// What is refused, each with the server's words.
    pub(super) fn told(&self) -> Vec<String> {
        self.told.clone()
    }

    /// Whether any was because the namespace is being removed.
    pub(super) const fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Ends the look.
    ///
    /// # Errors
    /// With the first refusal, so that it is looked at again after a pause.
    pub(super) fn end(self) -> Result<(), Error> {
        self.first.map_or(Ok(()), Err)
    }
}

/// The server's words, where it refuses: a quota, a webhook's verdict or its absence, a value that it does not take. Not where
/// it is too busy, does not know us, or somebody else was faster.
fn words(error: &Error, is_lasting: bool) -> Option<&str> {
    let Error::Api {
        source: kube::Error::Api(status),
        ..
    } = error
    else {
        return None;
    };
    let refuses = match status.code {
        400 | 403 | 404 | 413 | 422 => true,
        // A webhook that does not answer is told of by this code. So is what passes, such as another leader of etcd, and what may
        // not pass, such as a key that is not there.
        500 => is_lasting || status.message.contains("webhook"),
        _ => false,
    };
    refuses.then_some(&status.message)
}

/// Whether nothing can be made because the namespace is being removed.
pub(crate) fn is_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16) -> Error {
        told(code, "over the quota")
    }

    fn told(code: u16, words: &str) -> Error {
        let status = Status::failure(words, "Forbidden").with_code(code);
        Error::Api {
            doing: "apply an object",
            source: kube::Error::Api(status.boxed()),
        }
    }

    #[test]
    fn a_refusal_is_kept_and_others_end_the_look() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.handle("Service a", Ok(1)).unwrap(), Some(1));
        for code in [401, 409, 429, 500, 503] {
            let outcome = refusals.handle::<()>("Service a", Err(error(code)));
            assert!(outcome.is_err(), "{code}");
        }
        assert!(refusals.told().is_empty());
        for code in [403, 422] {
            let outcome = refusals.handle::<()>("Service a", Err(error(code)));
            assert_eq!(outcome.unwrap(), None);
        }
        assert_eq!(refusals.told(), ["Service a: over the quota"; 2]);
        let away =
            "Internal error occurred: failed calling webhook \"a.b\": no endpoints available";
        let outcome = refusals.handle::<()>("Service a", Err(told(500, away)));
        assert_eq!(outcome.unwrap(), None);
        assert_eq!(refusals.told().len(), 3);
        assert!(refusals.end().is_err());
        Refusals::default().end().unwrap();
    }

    /// Else nothing would be said of the feed while it lasts.
    #[test]
    fn a_failure_of_the_servers_own_that_lasts_is_a_refusal() {
        for (failed, is_told) in [(0, false), (PASSING_MAX - 1, false), (PASSING_MAX, true)] {
            let mut refusals = Refusals::after(failed);
            let outcome = refusals.handle::<()>("Service a", Err(told(500, "no key")));
            assert_eq!(outcome.is_ok(), is_told, "{failed}");
            assert_eq!(refusals.count(), usize::from(is_told));
        }
    }
}
