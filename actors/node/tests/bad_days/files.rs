//! Files that are not what they were.

use std::path::{Path, PathBuf};

use playhouse::prelude::*;

use crate::stage::{Stage, name, names, play};

#[test]
fn a_folder_that_cannot_be_made() {
    play(async |_| {
        let mut stage = Stage::set("folder").await;
        // Root may write where permissions say that it may not; but nobody makes a folder within a file.
        std::fs::write(stage.folder.join("file"), b"in the way").unwrap();
        let (host, listen) = stage.place("w");
        let mut config = stage.config("w", listen);
        let folder = stage.folder.join("file/data");
        config.coordinate = Some(playhouse::Coordinate::new(&folder));
        config.coordinators = stage.listed();
        config.coordinators.push((name("w"), listen));
        let error = Node::start(host.clone(), config.clone()).await.unwrap_err().to_string();
        names(&error, &[folder.to_str().unwrap()]);
        stage.serves().await;
        // The same with checkpoints; and with a journal that is a folder.
        let worker = NodeConfig { coordinate: None, coordinators: stage.listed(), capacity: 1, ..config.clone() };
        let worker = NodeConfig { checkpoints: Some(folder.clone()), ..worker };
        let error = Node::start(host.clone(), worker).await.unwrap_err().to_string();
        names(&error, &[folder.to_str().unwrap(), "Choose a folder"]);
        let folder = stage.folder.join("odd");
        std::fs::create_dir_all(folder.join("journal.redb")).unwrap();
        config.coordinate = Some(playhouse::Coordinate::new(&folder));
        let error = Node::start(host, config).await.unwrap_err().to_string();
        names(&error, &[folder.join("journal.redb").to_str().unwrap()]);
        stage.serves().await;
        stage.ends().await;
    });
}

/// Changes a byte in each place of a file where this stands.
fn spoil(file: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let places: Vec<usize> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert!(!places.is_empty(), "it is not in the file");
    places.iter().for_each(|at| bytes[at + 1] ^= 4);
    std::fs::write(file, &bytes).unwrap();
}

#[test]
fn a_damaged_end_of_a_journal() {
    play(async |_| {
        let mut stage = Stage::set("tail").await;
        for cut in [false, true] {
            let victim = stage.follower().await;
            let journal = stage.journal(&victim);
            stage.has_caught_up(stage.head(&victim)).await;
            stage.stops(&victim).await;
            let whole = std::fs::read(&journal).unwrap();
            if cut {
                std::fs::write(&journal, &whole[..whole.len() / 2]).unwrap();
            } else {
                // The client's name stands in every submission.
                spoil(&journal, b"audience#");
            }
            let error = stage.joins(&victim).await.unwrap_err().to_string();
            names(&error, &[journal.to_str().unwrap(), "damaged", "Do not start this member with an empty one"]);
            stage.serves().await;
            // As the error says.
            stage.client().dismiss(&name(&victim)).await.unwrap();
            std::fs::remove_file(&journal).unwrap();
            let back = stage.joins(&victim).await.unwrap();
            stage.has_caught_up(&back).await;
            stage.heads.push(back);
            stage.serves().await;
        }
        stage.ends().await;
    });
}

#[test]
fn the_journal_of_another_node() {
    play(async |_| {
        let mut stage = Stage::set("anothers").await;
        let victim = stage.follower().await;
        stage.stops(&victim).await;
        // Its folder, and the certificate of a new one: for the others that would be a vote of its own.
        let (host, listen) = stage.place("w");
        let config = stage.config("w", listen);
        let coordinate = Some(playhouse::Coordinate::new(stage.folder.join(&victim)));
        let join = stage.heads.iter().map(Node::address).collect();
        let error =
            Node::start(host, NodeConfig { coordinators: vec![], join, coordinate, ..config }).await.unwrap_err().to_string();
        names(
            &error,
            &[stage.journal(&victim).to_str().unwrap(), &format!("is {victim}'s, and this is w"), "a folder of its own"],
        );
        stage.serves().await;
        let back = stage.joins(&victim).await.unwrap();
        stage.has_caught_up(&back).await;
        stage.heads.push(back);
        stage.serves().await;
        stage.ends().await;
    });
}

#[test]
fn an_old_image_of_a_disk() {
    play(async |_| {
        let mut stage = Stage::set("image").await;
        let victim = stage.follower().await;
        let journal = stage.journal(&victim);
        stage.has_caught_up(stage.head(&victim)).await;
        stage.stops(&victim).await;
        let image = std::fs::read(&journal).unwrap();
        let back = stage.joins(&victim).await.unwrap();
        for _ in 0..3 {
            stage.serves().await;
        }
        stage.has_caught_up(&back).await;
        back.stop(Duration::from_secs(1)).await;
        // Until then it has the journal for itself.
        drop(back);
        std::fs::write(&journal, &image).unwrap();
        let back = stage.joins(&victim).await.unwrap();
        stage.has_caught_up(&back).await;
        // Its leader has told it, and replaced it.
        let said = back.forgot().unwrap();
        names(&said, &[journal.to_str().unwrap(), &victim, "old image of the disk", "look at the disk"]);
        stage.serves().await;
        stage.heads.push(back);
        stage.ends().await;
    });
}

struct Sum(u64, Keep<Sum>);

#[actor]
impl Sum {
    #[message]
    async fn add(&mut self, by: u64) -> Result<u64, PersistError> {
        self.1.append(&by).await?;
        self.apply(by);
        Ok(self.0)
    }

    #[message]
    fn total(&self) -> u64 {
        self.0
    }
}

impl Persistent for Sum {
    type State = u64;
    const VERSION: u16 = 1;
    fn save(&self) -> u64 {
        self.0
    }
    fn load(&mut self, state: u64) {
        self.0 = state;
    }
}

impl Journaled for Sum {
    type Event = u64;
    fn apply(&mut self, by: u64) {
        self.0 += by;
    }
}

fn checkpoints(folder: &Path, actor: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(folder.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    let of_actor = folder.filter(|path| path.to_string_lossy().contains(actor));
    let files = of_actor.flat_map(|path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "checkpoint")).collect();
    files.sort();
    files
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_damaged_checkpoint() {
    play(async |_| {
        let mut stage = Stage::set("checkpoint").await;
        let (one, other) = (stage.works("one").await.unwrap(), stage.works("other").await.unwrap());
        let sum = one.persistent("sum").journaled().start(|keep| Sum(0, keep.clone())).await.unwrap();
        for _ in 0..3 {
            sum.add(5).await.unwrap().unwrap();
            sum.save().await.unwrap();
        }
        assert_eq!(sum.add(5).await.unwrap().unwrap(), 20);
        // The newest is damaged: what was acknowledged comes from the one before, and the events since then.
        let files = checkpoints(&stage.folder, "sum");
        flip(files.last().unwrap());
        one.stop(Duration::from_secs(1)).await;
        let taken = other.persistent("sum").journaled().start(|keep| Sum(0, keep.clone())).await.unwrap();
        assert_eq!(taken.total().await.unwrap(), 20);
        stage.serves().await;
        // All are: nothing is made up.
        taken.save().await.unwrap();
        let files = checkpoints(&stage.folder, "sum");
        files.iter().for_each(|file| std::fs::write(file, b"nonsense").unwrap());
        let third = stage.works("third").await.unwrap();
        let error = third.persistent("sum").journaled().start(|keep| Sum(0, keep.clone())).await.unwrap_err().to_string();
        names(&error, &["actor/sum", files[0].to_str().unwrap(), "Restore a file from a backup"]);
        stage.serves().await;
        for node in [other, third] {
            node.stop(Duration::from_secs(1)).await;
        }
        stage.ends().await;
    });
}
