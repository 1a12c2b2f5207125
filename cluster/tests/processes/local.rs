//! `cluster local` beside another one: it ends before it has touched or started anything.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use cluster::wait::PATIENCE;
use cluster::{Folder, Program};

/// What it says and that it fails, for these options.
async fn refused(folder: &Path, options: &[&str], log: &Path) -> String {
    let program = Program::new("cluster", env!("CARGO_BIN_EXE_cluster"), log);
    let program = program.args(["local", "--folder"]).args([folder]);
    let ended = program.args(options).run(PATIENCE).await;
    format!("{:#}", ended.unwrap_err())
}

#[tokio::test]
async fn a_second_cluster_leaves_the_first_ones_folder_and_address_alone() {
    let own = tempfile::tempdir().unwrap();
    let (folder, log) = (own.path().join("folder"), own.path().join("log"));
    let held = Folder::take(&folder).unwrap();
    fs::write(folder.join("data"), "of the first").unwrap();
    let said = refused(&folder, &["--listen", "127.0.0.1:0"], &log).await;
    assert!(said.contains("a cluster runs in"), "{said}");
    assert!(said.contains("--folder <dir>"), "{said}");
    drop(held);

    let said = refused(&folder, &["--listen", "here"], &log).await;
    assert!(said.contains("exit status: 2"), "{said}");
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listening.local_addr().unwrap().to_string();
    let said = refused(&folder, &["--listen", &taken], &log).await;
    assert!(
        said.contains(&format!("cannot listen on {taken}")),
        "{said}"
    );
    assert!(said.contains("--listen <addr>"), "{said}");
    assert_eq!(
        fs::read_to_string(folder.join("data")).unwrap(),
        "of the first"
    );
}
