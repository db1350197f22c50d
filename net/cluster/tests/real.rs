//! The same on real disks, threads and clocks: three found a group, agree, and one comes back to its file within the same process.
#![cfg(not(madsim))]
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use playhouse_cluster::{Called, Group, Member, Profile, ProposeError, Replicated, Transport};
use playhouse_rt::{Blocking, Host, sleep, timeout};
use playhouse_wire::NodeName;

#[derive(Default)]
struct Book(Vec<u8>);

impl Replicated for Book {
    fn apply(&mut self, _: u64, command: &[u8]) -> Result<(), String> {
        self.0.extend(command);
        Ok(())
    }
    fn save(&self) -> Vec<u8> {
        self.0.clone()
    }
    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        self.0 = saved.to_vec();
        Ok(())
    }
}

type Members = Arc<Mutex<BTreeMap<String, Group<Book>>>>;

struct Wire(NodeName, Members);

impl Transport for Wire {
    fn call(&self, to: &Member, request: Vec<u8>, within: Duration) -> Called {
        let (from, to) = (self.0.clone(), self.1.lock().unwrap().get(&to.name).cloned());
        Box::pin(async move {
            let to = to.ok_or("it does not run")?;
            timeout(within, to.answer_from(&from, &request)).await.map_err(|late| late.to_string())?
        })
    }
}

async fn start(members: &Members, folder: &Path, name: &str) {
    let node = NodeName::new(name).unwrap();
    let place = (Host::os().disk().clone(), folder.join(name).join("journal"), Blocking::new(2));
    let wire = Arc::new(Wire(node.clone(), members.clone()));
    let group = Group::join(node, Profile::FAST, place, Book::default(), wire).await.unwrap();
    members.lock().unwrap().insert(name.into(), group);
}

async fn apply(members: &Members, command: u8) {
    loop {
        let all: Vec<_> = members.lock().unwrap().values().cloned().collect();
        for group in all {
            match group.propose(vec![command]).await {
                Ok(_) => return,
                Err(ProposeError::NotLeader(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn agree(members: &Members, commands: &[u8]) {
    loop {
        let all: Vec<_> = members.lock().unwrap().values().cloned().collect();
        if all.len() == 3 && all.iter().all(|group| group.read(|book| book.0 == commands)) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn three_agree_and_one_comes_back_to_its_file_or_to_none() {
    let folder = Folder(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("agree-{}", std::process::id())));
    let _ = std::fs::remove_dir_all(&folder.0);
    let story = async {
        let members = Members::default();
        for name in ["a", "b", "c"] {
            start(&members, &folder.0, name).await;
        }
        let all = ["a", "b", "c"].map(|name| Member { name: name.into(), address: String::new() });
        let first = members.lock().unwrap()["a"].clone();
        first.found(&all).await.unwrap();
        drop(first);
        let mut commands = Vec::new();
        for (round, name) in ["b", "c", "b"].into_iter().enumerate() {
            for _ in 0..5 {
                commands.push(commands.len() as u8);
                apply(&members, commands.len() as u8 - 1).await;
            }
            agree(&members, &commands).await;
            // Not the leader: what it had begun would be in doubt.
            let follows = members.lock().unwrap().values().all(|group| group.standing().leader.as_deref() != Some(name));
            if !follows {
                continue;
            }
            let gone = members.lock().unwrap().remove(name).unwrap();
            gone.stop().await;
            drop(gone);
            if round == 2 {
                // A new disk: the leader notices.
                std::fs::remove_file(folder.0.join(name).join("journal")).unwrap();
            }
            commands.push(commands.len() as u8);
            apply(&members, commands.len() as u8 - 1).await;
            start(&members, &folder.0, name).await;
        }
        agree(&members, &commands).await;
    };
    let story = async { timeout(Duration::from_secs(60), story).await.expect("they agree in the end") };
    playhouse_rt::run(2, story).unwrap();
}
