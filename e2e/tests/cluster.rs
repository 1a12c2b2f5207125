//! A cluster with nodes works, and nothing of it is left when its guard is dropped or its owner is killed.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cluster::wait::{self, PATIENCE};
use e2e::programs::scripts;
use e2e::whole::UP_MAX;
use e2e::{Cluster, Options, Programs};
use serde_json::json;

/// One after the other: two at a time would be slower on two cores.
#[tokio::test]
async fn a_cluster_works_and_ends() {
    if let Some(why) = Cluster::absent() {
        println!("skipped: {why}");
        return;
    }
    let own = e2e::scratch::folder().unwrap();
    let options = Options {
        folder: Some(own.path().to_owned()),
        ..Options::default()
    };
    let cluster = Cluster::start(&options).await.unwrap();
    a_service_is_reached(&cluster).await;
    one_that_is_given_is_reached_too(&cluster).await;
    a_program_is_killed_and_comes_back(&cluster).await;
    let state = own.path().join("state");
    let made = Made::of(&state);
    assert!(made.programs.len() >= 8, "{made:?}");
    assert!(!made.cgroups().is_empty(), "{made:?}");
    assert!(made.mounted_by() > 0, "{made:?}");
    drop(cluster);
    made.is_gone().await;
    assert!(!state.exists());

    it_ends_with_its_owner(own.path()).await;
}

async fn a_service_is_reached(cluster: &Cluster) {
    let kubectl = cluster.kubectl();
    let labels = json!({ "app": "web" });
    let container = json!({
        "name": "web", "image": "registry.local/busybox:1", "imagePullPolicy": "Never",
        "command": ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/etc"],
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "selector": labels, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    kubectl
        .apply(&format!("{deployment}\n---\n{service}"))
        .await
        .unwrap();
    let bound = format!("--timeout={}s", UP_MAX.as_secs());
    let ready = ["rollout", "status", "deployment", "web", &bound];
    kubectl.run(ready).await.unwrap();
    let forward = cluster.forward("default", "web", 80).await.unwrap();
    assert!(forward.address.ip().is_loopback());
    wait::until("an answer of the Service", PATIENCE, async || {
        let answer = cluster::http::get(forward.address, "/hosts").await;
        Ok(answer.ok().filter(|(status, _)| *status == 200))
    })
    .await
    .unwrap();
    let path = "jsonpath={.spec.clusterIP}";
    let address = kubectl
        .run(["get", "service", "web", "-o", path])
        .await
        .unwrap();
    let url = format!("http://{address}/hosts");
    let said = cluster
        .exec(["busybox", "wget", "-qO-", &url])
        .await
        .unwrap();
    assert!(said.contains("localhost"), "{said}");
}

/// As one of kind or of a cloud would be: by its kubeconfig alone.
async fn one_that_is_given_is_reached_too(cluster: &Cluster) {
    let given = Cluster::given(cluster.kubeconfig()).await.unwrap();
    assert!(!given.is_own() && given.audit().is_none());
    let forward = given.forward("default", "web", 80).await.unwrap();
    let answer = ::cluster::http::get(forward.address, "/hosts")
        .await
        .unwrap();
    assert_eq!(answer.0, 200);
    let refused = given.exec(["true"]).await.unwrap_err().to_string();
    assert!(
        refused.contains("only on a cluster that was made here"),
        "{refused}"
    );
    let refused = given
        .load(Path::new("x.tar"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("it is not known how kube takes images"),
        "{refused}"
    );
}

async fn a_program_is_killed_and_comes_back(cluster: &Cluster) {
    let audit = cluster.audit().unwrap();
    let mark = audit.mark().unwrap();
    cluster.kill("kube-apiserver").await.unwrap();
    let kubectl = cluster.kubectl();
    let said = kubectl.try_run(["get", "nodes"]).await.unwrap();
    assert!(!said.ok, "{}", said.out);
    cluster.restart("kube-apiserver").await.unwrap();
    wait::until("the API server is back", PATIENCE, async || {
        let said = kubectl.try_run(["get", "nodes"]).await?;
        Ok(said.ok.then_some(()))
    })
    .await
    .unwrap();
    let entries = audit.since(mark).unwrap();
    let ours = |entry: &&e2e::Entry| entry.user == "admin" && entry.resource == "nodes";
    assert!(entries.iter().any(|entry| ours(&entry)), "{entries:?}");
}

/// Killed without a word, as by a time limit.
async fn it_ends_with_its_owner(folder: &Path) {
    let mut owned = Owned {
        owner: Command::new("sleep").arg("600").spawn().unwrap(),
        state: folder.join("owned"),
    };
    let mut up = owned.script("up").spawn().unwrap();
    let taken = wait::until("a cluster", UP_MAX, async || Ok(up.try_wait()?)).await;
    assert!(taken.unwrap().success());
    // It is somebody's: nobody else gets it for a new one.
    let again = owned.script("up").stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(
        !again.status.success() && said.contains("another's"),
        "{said}"
    );
    let made = Made::of(&owned.state);
    assert!(made.mounted_by() > 0, "{made:?}");
    owned.owner.kill().unwrap();
    owned.owner.wait().unwrap();
    let pids = owned.state.join("pids");
    wait::until("the end of the cluster", PATIENCE, async || {
        Ok((!pids.exists()).then_some(()))
    })
    .await
    .unwrap();
    made.is_gone().await;
}

/// A cluster of a process that is to be killed. What is left of both when the test fails is ended.
struct Owned {
    owner: Child,
    state: PathBuf,
}

impl Owned {
    fn script(&self, command: &str) -> Command {
        let mut script = Command::new(scripts().join("kube.sh"));
        let port = cluster::ports::free().unwrap().port();
        script
            .arg(command)
            .env("KUBE_PROGRAMS", Programs::find().unwrap().folder())
            .env("KUBE_STATE", &self.state)
            .env("KUBE_PORT", port.to_string())
            .env("KUBE_OWNER", self.owner.id().to_string())
            // Nodes alone: what runs on them is started by nobody yet.
            .env("KUBE_ADDONS", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        script
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have been killed, and the cluster be gone.
        let _ = self.owner.kill();
        let _ = self.owner.wait();
        let _ = self.script("down").status();
    }
}

/// What there is of a cluster outside its folder.
#[derive(Debug)]
struct Made {
    state: PathBuf,
    /// Its programs and where /proc has them.
    programs: Vec<(String, PathBuf)>,
    /// The name of its pods' cgroup.
    cgroup: String,
}

impl Made {
    fn of(state: &Path) -> Self {
        let entries = fs::read_dir(state.join("pids")).unwrap();
        let entries = entries.map(|entry| entry.unwrap().path());
        let of = |file: PathBuf| {
            let name = file.file_name().unwrap().display().to_string();
            let pid = fs::read_to_string(file).unwrap();
            (name, Path::new("/proc").join(pid.trim()))
        };
        let kubelet = fs::read_to_string(state.join("node0/kubelet.yaml")).unwrap();
        let (_, cgroup) = kubelet.split_once("cgroupRoot: /").unwrap();
        Self {
            state: state.to_owned(),
            programs: entries.map(of).collect(),
            cgroup: cgroup.split('/').next().unwrap().to_owned(),
        }
    }

    /// In every hierarchy of v1, or at the top of v2.
    fn cgroups(&self) -> Vec<PathBuf> {
        let all = Path::new("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(all).unwrap();
        let hierarchies = hierarchies.map(|entry| entry.unwrap().path());
        let places = hierarchies.chain([all.to_owned()]);
        let places = places.map(|place| place.join(&self.cgroup));
        places.filter(|place| place.exists()).collect()
    }

    /// How many processes of this machine have something of it mounted.
    fn mounted_by(&self) -> usize {
        let state = self.state.to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap();
        let mounts = processes.map(|entry| entry.unwrap().path().join("mountinfo"));
        // One that ends meanwhile has none.
        let mounts = mounts.filter_map(|file| fs::read_to_string(file).ok());
        mounts.filter(|text| text.contains(state)).count()
    }

    /// Who took it down needs a moment to end itself.
    async fn is_gone(&self) {
        wait::until("the end of all that was made", PATIENCE, async || {
            let running = self.programs.iter().any(|(_, place)| place.exists());
            let left = running || !self.cgroups().is_empty() || self.mounted_by() > 0;
            Ok((!left).then_some(()))
        })
        .await
        .unwrap();
    }
}
