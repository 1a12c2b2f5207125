//! The command lines: what is wrong is one line and exit code 2; help names everything.

use std::net::TcpListener;

use crate::support::{Ended, GATEWAY, MARKETDATA, Place, built, words};

#[tokio::test]
async fn what_is_wrong_is_one_line() {
    if !built() {
        return;
    }
    let place = Place::new();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let run = "run --env it --shard 0 --assignment a.json";
    let (gateway, purge) = ("--env it --listen 127.0.0.1:0", "purge --env it");
    let with = |start: &str, more: &str| format!("{start} {more}");
    let both = "--nats-user a --nats-password b --nats-token c";
    for (binary, line, parts) in [
        (MARKETDATA, String::new(), vec!["a command is missing"]),
        (MARKETDATA, "bogus".into(), vec!["'bogus'"]),
        (
            MARKETDATA,
            "run".into(),
            vec!["--assignment", "--shard", "--env"],
        ),
        (
            MARKETDATA,
            with(run, "--shard 70000").replacen("--shard 0 ", "", 1),
            vec!["--shard", "whole number"],
        ),
        (
            MARKETDATA,
            with(run, "--lease-ttl 3"),
            vec!["--lease-ttl", "250ms"],
        ),
        (
            MARKETDATA,
            with(run, "--reorder-window 1s"),
            vec!["--reorder-window", "2s at least"],
        ),
        (
            MARKETDATA,
            with(run, "--when-full maybe"),
            vec!["drop-newest", "wait"],
        ),
        (
            MARKETDATA,
            with(run, "--nats-replicas 6"),
            vec!["--nats-replicas"],
        ),
        (MARKETDATA, with(run, "--log loud"), vec!["no level"]),
        (
            MARKETDATA,
            with(run, "--nats-user a"),
            vec!["--nats-password"],
        ),
        (MARKETDATA, with(run, both), vec!["cannot be used with"]),
        (
            MARKETDATA,
            with(run, "--nats-url http://x"),
            vec!["nats://host:4222"],
        ),
        (
            MARKETDATA,
            with(run, "--nats-url nats://a:b@x"),
            vec!["--nats-user"],
        ),
        (
            MARKETDATA,
            with(run, "--nats-creds none.creds"),
            vec!["--nats-creds none.creds"],
        ),
        (
            MARKETDATA,
            with(run, "--otlp-endpoint https://x:1"),
            vec!["https is not spoken"],
        ),
        (
            MARKETDATA,
            with(run, &format!("--admin-listen {taken}")),
            vec![&taken],
        ),
        (MARKETDATA, "assign".into(), vec!["--source"]),
        (
            MARKETDATA,
            "assign --source btc".into(),
            vec!["<venue>=<symbol>"],
        ),
        (
            MARKETDATA,
            "assign --source nowhere=BTC-USDT".into(),
            vec!["nowhere"],
        ),
        (
            MARKETDATA,
            "assign --source coinbase=BTC-USD --shards 0".into(),
            vec!["--shards"],
        ),
        (
            MARKETDATA,
            "assign --from none.json".into(),
            vec!["cannot read none.json"],
        ),
        (MARKETDATA, "purge".into(), vec!["--env"]),
        (MARKETDATA, with(purge, "--within soon"), vec!["--within"]),
        (
            MARKETDATA,
            with(purge, "--nats-tls-ca none.pem"),
            vec!["--nats-tls-ca none.pem"],
        ),
        (GATEWAY, "--listen 127.0.0.1:0".into(), vec!["--env"]),
        (GATEWAY, with(gateway, "--ring 0"), vec!["from 1 to"]),
        (GATEWAY, with(gateway, "--region EU"), vec!["--region"]),
        (GATEWAY, with(gateway, both), vec!["cannot be used with"]),
        (
            GATEWAY,
            with(gateway, "--nats-nkey none.nk"),
            vec!["--nats-nkey none.nk"],
        ),
        (
            GATEWAY,
            with(gateway, &format!("--admin-listen {taken}")),
            vec![&taken],
        ),
        (GATEWAY, format!("--env it --listen {taken}"), vec![&taken]),
        (GATEWAY, with(gateway, "stray"), vec!["'stray'"]),
    ] {
        let ended = place.ends(binary, &words(&line)).await;
        println!("{binary} {line}: {}", ended.stderr.trim_end());
        ended.check_alone(2, &parts);
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
}

#[tokio::test]
async fn help_names_every_flag_with_its_variable() {
    if !built() {
        return;
    }
    let place = Place::new();
    for (binary, line, least) in [
        (MARKETDATA, "run --help", 25),
        (MARKETDATA, "assign --help", 6),
        (MARKETDATA, "purge --help", 15),
        (GATEWAY, "--help", 20),
        (GATEWAY, "probe --help", 5),
    ] {
        let Ended {
            code,
            stdout,
            stderr,
        } = place.ends(binary, &words(line)).await;
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        let flags = flags(&stdout);
        assert!(flags.len() >= least, "{binary} {line}: {flags:?}");
        for (flag, text) in flags {
            let name = flag.to_uppercase().replace('-', "_");
            // A gateway's are threads.
            let name = match (line, name.as_str()) {
                ("assign --help", "SHARDS") => "ASSIGN_SHARDS".to_owned(),
                _ => name,
            };
            // The value that it has now is shown, unless it is a secret.
            let is_secret = ["nats-password", "nats-token"].contains(&flag.as_str());
            let end = if is_secret { ']' } else { '=' };
            let variable = format!("[env: MARKETFEED_{name}{end}");
            assert!(text.contains(&variable), "--{flag}: {text}");
            let told = text.split("[env: ").next().unwrap_or_default();
            assert!(
                told.split_whitespace().count() >= 3,
                "--{flag} says nothing: {text}"
            );
        }
    }
    for (binary, commands) in [
        (MARKETDATA, &["run", "assign", "purge"][..]),
        (GATEWAY, &["probe"]),
    ] {
        let whole = place.ends(binary, &["--help"]).await;
        assert_eq!(whole.code, Some(0));
        for command in commands {
            let line = format!("\n  {command} ");
            assert!(whole.stdout.contains(&line), "{whole:?}");
        }
    }
}

#[tokio::test]
async fn a_slip_of_the_pen_in_a_log_filter_is_told_although_it_silences() {
    if !built() {
        return;
    }
    let place = Place::new();
    for (filter, warned) in [("gatway=debug", true), ("gateway=debug", false)] {
        let line = format!(
            "purge --env it --nats-url nats://127.0.0.1:1 --within 1ms --log-format json --log {filter}"
        );
        let ended = place.ends(MARKETDATA, &words(&line)).await;
        ended.check(1, &["not done within"]);
        let told = ended.stderr.contains(r#""targets":"[\"gatway\"]""#);
        assert_eq!(told, warned, "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1 + usize::from(warned));
    }
}

/// The flags of a help text, each with all that is said of it; without those that every program has.
fn flags(help: &str) -> Vec<(String, String)> {
    let mut flags: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        let begun = line.trim_start();
        let is_flag = line.starts_with(' ')
            && (begun.starts_with("--")
                || begun.starts_with("-h, --")
                || begun.starts_with("-V, --"));
        if is_flag {
            let name = begun.split_once("--").unwrap().1;
            let name = name.split([' ', '=']).next().unwrap_or_default();
            flags.push((name.to_owned(), String::new()));
        } else if !line.starts_with(' ') && !line.is_empty() {
            // A heading.
            flags.push(("help".to_owned(), String::new()));
        }
        if let Some((_, text)) = flags.last_mut() {
            text.push_str(begun);
            text.push(' ');
        }
    }
    flags.retain(|(name, _)| !["help", "version"].contains(&name.as_str()));
    flags
}
