//! Each rule is shown a tree that keeps it and one that breaks it.

use super::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    Tree { files }
}

#[track_caller]
fn check(rule: fn(&Tree) -> Vec<String>, files: &[(&str, &str)], expect: &[&str]) {
    assert_eq!(rule(&tree(files)), expect);
}

#[test]
fn nats_has_one_home() {
    let rule = Tree::nats_outside_its_broker;
    check(
        rule,
        &[(
            "runtime/src/broker/nats/publish.rs",
            "use async_nats::Client;",
        )],
        &[],
    );
    check(
        rule,
        &[("gateway/src/a.rs", "// async_nats would replay\n")],
        &[],
    );
    let elsewhere = [("gateway/src/a.rs", "use async_nats::Client;")];
    check(rule, &elsewhere, &["gateway/src/a.rs names async_nats"]);
}

#[test]
fn websockets_have_one_file_a_crate() {
    let rule = Tree::websocket_openers;
    let socket = "let ws = client_async(request, stream).await?;";
    check(
        rule,
        &[
            ("marketdata/src/socket.rs", socket),
            ("exchange-sim/src/ws.rs", socket),
        ],
        &[],
    );
    let tests_only = "fn a() {}\n#[cfg(test)]\nmod tests {\n    client_async(\n}";
    check(
        rule,
        &[
            ("marketdata/src/socket.rs", socket),
            ("marketdata/src/venue.rs", tests_only),
            ("marketdata/tests/it.rs", socket),
        ],
        &[],
    );
    check(
        rule,
        &[
            ("marketdata/src/socket.rs", socket),
            ("marketdata/src/venue.rs", "connect_async(url)"),
        ],
        &["marketdata: marketdata/src/socket.rs, marketdata/src/venue.rs"],
    );
    // Who serves them may have a client of its own.
    let server = ("gateway/src/handshake.rs", "derive_accept_key(key)");
    check(rule, &[server, ("gateway/src/probe.rs", socket)], &[]);
    check(
        rule,
        &[server, ("gateway/src/other.rs", "accept_async(stream)")],
        &["gateway: gateway/src/handshake.rs, gateway/src/other.rs"],
    );
}

#[test]
fn tasks_have_owners() {
    let rule = Tree::detached_spawns;
    check(rule, &[("runtime/src/tasks.rs", "tokio::spawn(x)")], &[]);
    check(
        rule,
        &[("gateway/src/a.rs", "tokio::spawn(x)")],
        &["gateway/src/a.rs has tokio::spawn"],
    );
    let thread = [("gateway/src/a.rs", "std::thread::spawn(x)")];
    check(rule, &thread, &["gateway/src/a.rs has thread::spawn"]);
}

#[test]
fn queues_have_bounds() {
    let rule = Tree::unbounded_queues;
    check(rule, &[("a/src/a.rs", "mpsc::channel(16)")], &[]);
    let unbounded = [("a/src/a.rs", "mpsc::unbounded_channel()")];
    check(rule, &unbounded, &["a/src/a.rs has unbounded_channel"]);
}

#[test]
fn pure_means_denied() {
    let rule = Tree::pure_without_deny;
    let pure = "//! Sums. Pure.\n\n#![deny(clippy::disallowed_methods)]\n";
    let bare = "//! Sums. Pure.\n";
    check(
        rule,
        &[
            ("a/src/sum.rs", pure),
            ("a/src/net.rs", "//! Impure things.\n"),
        ],
        &[],
    );
    check(rule, &[("a/src/lib.rs", pure), ("a/src/sum.rs", bare)], &[]);
    check(
        rule,
        &[("a/src/sum.rs", pure), ("a/src/sum/part.rs", bare)],
        &[],
    );
    let message = "a/src/sum.rs says it is pure and does not deny disallowed_methods";
    check(
        rule,
        &[("a/src/sum.rs", bare), ("a/src/sum2.rs", pure)],
        &[message],
    );
    let silent = "//! Sums.\n#![deny(clippy::disallowed_methods)]\n";
    let message = "a/src/sum.rs denies disallowed_methods and does not say it is pure";
    check(rule, &[("a/src/sum.rs", silent)], &[message]);
}

#[test]
fn files_end() {
    check(
        Tree::too_long,
        &[("a/src/a.rs", &"x\n".repeat(LINES_MAX))],
        &[],
    );
    let message = format!(
        "web/src/a.ts has {} lines, the limit is {LINES_MAX}",
        LINES_MAX + 1
    );
    check(
        Tree::too_long,
        &[("web/src/a.ts", &"x\n".repeat(LINES_MAX + 1))],
        &[&message],
    );
}

#[test]
fn recordings_stay_out() {
    let root = std::env::temp_dir().join(format!("xtask-large-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("small"), "x").unwrap();
    let large = vec![0; usize::try_from(COMMITTED_BYTES_MAX).unwrap() + 1];
    fs::write(root.join("large"), large).unwrap();
    let broken = too_large(&root, "small\0large\0gone\0");
    assert_eq!(broken.len(), 1);
    assert!(broken[0].starts_with("large has"));
    fs::remove_dir_all(&root).unwrap();
}
