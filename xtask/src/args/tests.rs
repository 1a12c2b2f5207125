use super::*;

#[track_caller]
fn check(line: &str, expect: &Command) {
    assert_eq!(
        &parse(line.split_whitespace().map(OsString::from)).unwrap(),
        expect
    );
}

#[track_caller]
fn refuse(line: &str, part: &str) {
    let error = parse(line.split_whitespace().map(OsString::from))
        .unwrap_err()
        .to_string();
    assert!(error.contains(part), "{error:?} lacks {part:?}");
    assert!(!error.contains('\n'), "more than one line: {error:?}");
}

#[test]
fn commands() {
    check("", &Command::Help);
    check("--help", &Command::Help);
    check("invariants", &Command::Invariants);
    check("demo", &Command::Demo(Demo::default()));
    check(
        "demo --replay binance-spot=a.gz --replay coinbase=b --speed max --listen [::1]:1 --debug",
        &Command::Demo(Demo {
            replay: vec!["binance-spot=a.gz".into(), "coinbase=b".into()],
            speed: Some("max".into()),
            live: false,
            listen: Some("[::1]:1".into()),
            debug: true,
        }),
    );
    check(
        "test --only rust --verbose",
        &Command::Test(Test {
            only: Some("rust".into()),
            verbose: true,
            screenshots: false,
        }),
    );
    check(
        "test --screenshots --only browser",
        &Command::Test(Test {
            only: Some("browser".into()),
            verbose: false,
            screenshots: true,
        }),
    );
    check(
        "faults --runs 3 --only term-active --release",
        &Command::Cluster(Cluster {
            command: "faults",
            folder: None,
            options: vec![
                "--runs".into(),
                "3".into(),
                "--only".into(),
                "term-active".into(),
            ],
            release: true,
        }),
    );
    check(
        "cluster-local --folder there",
        &Command::Cluster(Cluster {
            command: "local",
            folder: Some("there".into()),
            options: Vec::new(),
            release: false,
        }),
    );
    check("image", &Command::Image(Image::default()));
    check(
        "image --nats --release",
        &Command::Image(Image {
            release: true,
            later: false,
            nats: true,
        }),
    );
    check("e2e", &Command::E2e(E2e::Run(Scenarios::default())));
    check(
        "e2e --only rollout --only delete --keep --kubeconfig k",
        &Command::E2e(E2e::Run(Scenarios {
            only: vec!["rollout".into(), "delete".into()],
            keep: true,
            kubeconfig: Some("k".into()),
            ..Scenarios::default()
        })),
    );
    check("e2e up", &Command::E2e(E2e::Up { nodes: 1 }));
    check("e2e up --nodes 2", &Command::E2e(E2e::Up { nodes: 2 }));
    check("e2e down", &Command::E2e(E2e::Down));
    let feeds = |number| Command::E2e(E2e::Feeds { number });
    check("e2e feeds", &feeds(1_000));
    check("e2e feeds --number 7", &feeds(7));
    check(
        "bench decode --runs 3",
        &Command::Bench(vec!["decode".into(), "--runs".into(), "3".into()]),
    );
}

#[test]
fn refusals() {
    refuse("deploy", "no command `deploy`");
    refuse("demo --live --replay coinbase=x", "exclude each other");
    refuse("demo --speed 3", "needs --replay");
    refuse("demo --repaly x=y", "--repaly");
    refuse("test --only", "--only");
    refuse("test --screenshots", "needs --only browser");
    refuse("test --screenshots --only rust", "needs --only browser");
    refuse("invariants now", "now");
    refuse("e2e --all --only first-bar", "exclude each other");
    refuse("e2e --all up", "up");
    refuse("e2e --image a:1", "--kubeconfig");
    refuse("e2e sideways", "no `e2e sideways`");
    refuse("e2e up --nodes 3", "--nodes 3 is not 1 or 2");
    refuse("e2e down --nodes 2", "--nodes");
    refuse("e2e feeds --number 0", "not a number from 1 to 10000");
    refuse("cluster-local --runs 3", "--runs");
    refuse("faults --seed", "--seed");
    refuse("faults --runs all", "--runs all is not a whole number");
    refuse(
        "cluster-local --listen 8080",
        "--listen 8080 is not an address",
    );
}
