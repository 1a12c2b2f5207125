use super::*;

#[test]
fn what_was_good_is_not_called_bad_at_once() {
    let mut patience = Patience::default();
    let good = look(&well(), None, &mut patience, 1_000);
    let silent = observed(|report| report.heard = None);
    let at = |patience: &mut Patience, now_s| look(&silent, Some(&good), patience, now_s);
    check(
        &at(&mut patience, 1_010),
        "ShardsOwned",
        ("True", "Heard"),
        "2 of 2",
    );
    check(&at(&mut patience, 1_029), "Ready", ("True", "Running"), "");
    let bad = at(&mut patience, 1_030);
    check(&bad, "ShardsOwned", ("False", "Silent"), "");
    assert_eq!(
        condition(&bad, "ShardsOwned")
            .last_transition_time
            .0
            .as_second(),
        1_030
    );
    // It stays so, and is good again at once.
    let mut patience = Patience::default();
    check(
        &look(&silent, Some(&bad), &mut patience, 1_040),
        "ShardsOwned",
        ("False", "Silent"),
        "",
    );
    let again = look(&well(), Some(&bad), &mut patience, 1_041);
    check(&again, "ShardsOwned", ("True", "Heard"), "");
    // What has passed does not count the next time.
    let mut patience = Patience::default();
    at(&mut patience, 1_010);
    look(&well(), Some(&good), &mut patience, 1_015);
    check(
        &at(&mut patience, 1_031),
        "ShardsOwned",
        ("True", "Heard"),
        "",
    );
}

/// One answer that does not come changes nothing that is said.
#[test]
fn figures_stay_as_long_as_what_they_are_of_is_called_good() {
    let mut patience = Patience::default();
    let good = look(&well(), None, &mut patience, 1_000);
    let unheard = Observed {
        report: None,
        ..well()
    };
    let at = |patience: &mut Patience, now_s| look(&unheard, Some(&good), patience, now_s);
    assert_eq!(at(&mut patience, 1_010), good);
    assert_eq!(at(&mut patience, 1_029), good);
    let later = at(&mut patience, 1_030);
    let summary = later.summary.unwrap();
    assert_eq!((&summary.shards[..], &summary.fresh[..]), ("?/2", "?/4"));
    assert_eq!(later.shards, []);
    // Figures of another assignment are not this one's.
    let mut other = good.clone();
    other.assignment.as_mut().unwrap().generation += 1;
    let mut patience = Patience::default();
    let now = look(&unheard, Some(&other), &mut patience, 1_010);
    assert_eq!(now.summary.unwrap().shards, "?/2");
    assert_eq!(now.shards, []);
    // What is heard and is bad is figured as it was, too.
    let stale = observed(|report| report.fresh = false);
    let mut patience = Patience::default();
    assert_eq!(look(&stale, Some(&good), &mut patience, 1_010), good);
}

#[test]
fn what_the_api_server_refuses_is_told_first() {
    let observed = Observed {
        refused: vec!["Service crypto-gateway: over the quota".to_owned()],
        ..observed(|report| report.heard = None)
    };
    let status = first(&observed);
    check(&status, "Ready", ("False", "Refused"), "over the quota");
}
