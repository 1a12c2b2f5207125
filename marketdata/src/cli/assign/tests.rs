use std::os::unix::fs::{PermissionsExt, symlink};

use clap::{CommandFactory, Parser};
use tempfile::TempDir;
use wire::ShardId;

use super::*;

#[derive(Debug, Parser)]
#[command(name = "assign")]
struct Cli {
    #[command(flatten)]
    assign: AssignArgs,
}

const LISTED: &str = "--source binance-spot=BTC-USDT,ETH-USDT --source coinbase=BTC-USD";

fn parse(line: &str) -> Result<AssignArgs, String> {
    let words = std::iter::once("assign").chain(line.split_whitespace());
    let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    Ok(cli.assign)
}

/// Runs the command with FILE in place of the folder's file.
fn run_in(folder: &TempDir, line: &str) -> Result<Assignment, String> {
    let file = folder.path().join("assignment.json");
    let line = line.replace("FILE", file.to_str().unwrap());
    write(&parse(&line)?).map_err(|error| error.to_string())?;
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "something is left beside it: {names:?}");
    read(&file).map_err(|error| error.to_string())
}

#[test]
fn every_option_has_a_variable_and_a_help() {
    let command = Cli::command();
    command.clone().debug_assert();
    for arg in command.get_arguments().filter(|arg| arg.get_id() != "help") {
        // MARKETFEED_SHARDS is how many threads a gateway has.
        let expect = match arg.get_id().as_str() {
            "shards" => "MARKETFEED_ASSIGN_SHARDS".to_owned(),
            id => format!("MARKETFEED_{}", id.to_uppercase()),
        };
        assert_eq!(arg.get_env().unwrap(), expect.as_str());
        assert!(arg.get_help().is_some(), "{}", arg.get_id());
    }
}

#[test]
fn a_first_one_is_written() {
    let folder = TempDir::new().unwrap();
    let endpoint = "--endpoint coinbase=ws://127.0.0.1:9/c/,http://127.0.0.1:8/c";
    let line = format!("{LISTED} {endpoint} --shards 2 --output FILE");
    let first = run_in(&folder, &line).unwrap();
    assert_eq!((first.generation(), first.shards().get()), (1, 2));
    assert_eq!(first.intervals(), value::usual_intervals());
    assert_eq!(first.sources()[0].endpoints, None);
    let coinbase = first.sources()[1].endpoints.as_ref().unwrap();
    assert_eq!(coinbase.ws, "ws://127.0.0.1:9/c");
    assert_eq!(coinbase.rest, "http://127.0.0.1:8/c");
}

#[test]
fn one_goes_on_from_another() {
    let folder = TempDir::new().unwrap();
    let endpoint = "--endpoint coinbase=wss://127.0.0.1:9/c";
    let line = format!("{LISTED} {endpoint} --intervals 1m --output FILE");
    let first = run_in(&folder, &line).unwrap();
    let same = run_in(&folder, "--from FILE --output FILE").unwrap();
    assert_eq!(same, first);
    let wider = run_in(&folder, "--from FILE --shards 2 --output FILE").unwrap();
    assert_eq!((wider.generation(), wider.shards().get()), (2, 2));
    assert_eq!(wider.loads(), [2, 1]);
    assert_eq!(wider.intervals(), first.intervals());
    // Another listing: what is left stays where it was, and its venue too.
    let line = "--source coinbase=BTC-USD,ETH-USD --from FILE --output FILE";
    let other = run_in(&folder, line).unwrap();
    assert_eq!((other.generation(), other.sources().len()), (3, 1));
    let instrument = other
        .instruments_of(ShardId(0))
        .chain(other.instruments_of(ShardId(1)));
    let stayed = instrument.filter(|it| wider.shard_of(it) == other.shard_of(it));
    assert_eq!(stayed.count(), 1);
    let coinbase = other.sources()[0].endpoints.as_ref().unwrap();
    assert_eq!(coinbase.rest, "https://127.0.0.1:9/c");
    let line = "--endpoint coinbase= --from FILE --output FILE";
    let home = run_in(&folder, line).unwrap();
    assert_eq!(
        (home.generation(), &home.sources()[0].endpoints),
        (4, &None)
    );
}

#[test]
fn what_is_at_the_output_is_gone_on_from() {
    let folder = TempDir::new().unwrap();
    let line = format!("{LISTED} --go-on --output FILE");
    let first = run_in(&folder, &line).unwrap();
    assert_eq!(first.generation(), 1);
    assert_eq!(run_in(&folder, &line).unwrap(), first);
    let more = run_in(&folder, &format!("{line} --shards 2")).unwrap();
    assert_eq!((more.generation(), more.shards().get()), (2, 2));
    let both = run_in(&folder, &format!("{line} --from FILE")).unwrap_err();
    assert!(both.contains("cannot be used with"), "{both}");
}

#[test]
fn the_document_shows_what_is_written_and_told() {
    let document = include_str!("../../../../docs/assignment.md");
    let commands = document.replace("\\\n", " ");
    let mut commands = commands
        .lines()
        .filter_map(|line| line.strip_prefix("marketfeed-marketdata assign "));
    let folder = TempDir::new().unwrap();
    let first = commands.next().unwrap().replace("assignment.json", "FILE");
    let written = run_in(&folder, &first).unwrap().to_json();
    assert!(
        document.contains(&format!("```json\n{written}```")),
        "{written}"
    );
    let file = folder.path().join("assignment.json");
    let further = commands.next().unwrap();
    let further = further.replace("assignment.json", &file.display().to_string());
    let (_, difference) = plan(&parse(&further).unwrap()).unwrap();
    assert!(
        document.contains(&format!("```\n{difference}\n```")),
        "{difference}"
    );
}

#[test]
fn a_file_is_replaced_behind_its_link_and_keeps_its_mode() {
    let folder = TempDir::new().unwrap();
    run_in(&folder, &format!("{LISTED} --output FILE")).unwrap();
    let file = folder.path().join("assignment.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let elsewhere = TempDir::new().unwrap();
    let link = elsewhere.path().join("assignment.json");
    symlink(&file, &link).unwrap();
    let moved = run_in(&elsewhere, "--from FILE --shards 2 --output FILE").unwrap();
    assert_eq!(read(&file).unwrap(), moved);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[test]
fn nothing_is_left_beside_a_file_that_cannot_be_replaced() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("assignment.json");
    fs::create_dir(&path).unwrap();
    replace(&path, b"{}").unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_is_refused_on_one_line() {
    let folder = TempDir::new().unwrap();
    let check = |line: &str, expect: &str| {
        let error = run_in(&folder, line).unwrap_err();
        assert!(error.contains(expect), "{line:?}: {error}");
        let file = folder.path().join("assignment.json");
        assert!(!file.exists(), "{line:?} has written something");
    };
    check("--output FILE", "--source <VENUE=SYMBOL,...>");
    check("--source coinbase --output FILE", "write <venue>=<symbol>");
    check("--source coinbase= --output FILE", "write <venue>=<symbol>");
    check(
        "--source coinbase=btc --output FILE",
        "BASE-QUOTE in upper case",
    );
    check(
        "--source coinbase=BTC-USD, --output FILE",
        "BASE-QUOTE in upper case",
    );
    check(
        "--source kraken=BTC-USD --output FILE",
        "not one of binance-spot",
    );
    check(
        "--source binance-spot=BTC-USDT,BTCU-SDT --output FILE",
        "the same BTCUSDT",
    );
    check(
        "--source coinbase=A-B,A-B --output FILE",
        "coinbase/A-B is listed twice",
    );
    check(
        "--source coinbase=A-B --source coinbase=C-D --output FILE",
        "venue coinbase is listed twice",
    );
    let listed = |rest: &str| format!("{LISTED} {rest} --output FILE");
    check(&listed("--shards 0"), "write 1 to 1024");
    check(&listed("--shards 1025"), "write 1 to 1024");
    check(&listed("--intervals 7s"), "does not divide a day");
    check(&listed("--intervals 1m,1m"), "interval 1m is there twice");
    check(&listed("--endpoint coinbase"), "write <venue>=wss://");
    check(&listed("--endpoint coinbase=a,b,c"), "write <venue>=wss://");
    check(
        &listed("--endpoint coinbase=http://x"),
        "write wss://<host>/<path>",
    );
    check(
        &listed("--endpoint coinbase=ws://x,ws://x"),
        "write https://<host>/<path>",
    );
    check(
        &listed("--endpoint coinbase-advanced=ws://x"),
        "name it by --source too",
    );
    let twice = "--endpoint coinbase=ws://x --endpoint coinbase=ws://y";
    check(&listed(twice), "names coinbase twice");
    check("--from FILE --output FILE", "cannot read");
    let nowhere = format!("{LISTED} --output FILE/x/y");
    check(&nowhere, "cannot write");
}

#[test]
fn an_old_one_is_not_lost() {
    let folder = TempDir::new().unwrap();
    let first = run_in(&folder, &format!("{LISTED} --output FILE")).unwrap();
    let file = folder.path().join("assignment.json");
    let check = |line: &str, expect: &str| {
        let error = run_in(&folder, line).unwrap_err();
        assert!(error.contains(expect) && !error.contains('\n'), "{error}");
    };
    check(
        &format!("{LISTED} --output FILE"),
        "go on from it by --from",
    );
    check(
        &format!("{LISTED} --from FILE --source kraken=A-B --output FILE"),
        "kraken",
    );
    assert_eq!(read(&file).unwrap(), first);
    fs::write(&file, &first.to_json()[..50]).unwrap();
    check(
        "--from FILE --output FILE",
        "assignment.json: not an assignment: EOF",
    );
    assert_eq!(fs::read(&file).unwrap().len(), 50);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    check(&format!("{LISTED} --output FILE"), "is no file: write -");
}
