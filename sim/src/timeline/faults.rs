//! Faults as bands: from the line that begins one to the line that ends it.

use super::chart::{Band, Node};
use super::lanes::place_of;

#[derive(Debug, Default)]
pub(super) struct Faults {
    open: Vec<Open>,
    done: Vec<(Open, u64)>,
}

#[derive(Debug)]
struct Open {
    kind: &'static str,
    /// What the line that ends it repeats.
    key: String,
    text: String,
    /// Names or addresses.
    nodes: Vec<String>,
    from: u64,
    event: usize,
}

impl Faults {
    fn begin(&mut self, kind: &'static str, key: &str, text: &str, nodes: Vec<String>, (from, event): (u64, usize)) {
        self.open.push(Open { kind, key: key.to_string(), text: text.to_string(), nodes, from, event });
    }

    fn end(&mut self, kind: &str, key: &str, at: u64) {
        // The same one may have begun twice; then it ends twice.
        if let Some(index) = self.open.iter().position(|open| open.kind == kind && open.key == key) {
            let open = self.open.remove(index);
            self.done.push((open, at));
        }
    }

    pub(super) fn down(&mut self, place: &str, at: u64, event: usize) {
        self.begin("down", place, &format!("{place} is down"), vec![place.to_string()], (at, event));
    }

    pub(super) fn up(&mut self, place: &str, at: u64) {
        self.end("down", place, at);
    }

    /// `10.0.0.3 and 10.0.0.1`, `10.0.0.3 to 10.0.0.1`, `10.0.0.3 and all others`
    pub(super) fn cut(&mut self, detail: &str, at: u64, event: usize) {
        let nodes = detail.split(" and ").flat_map(|part| part.split(" to ")).map(str::to_string).collect();
        self.begin("cut", detail, "", nodes, (at, event));
    }

    pub(super) fn mend(&mut self, detail: &str, at: u64) {
        self.end("cut", detail, at);
    }

    /// `begin 3 what it is on a,b`, `end 3 …`: a fault of a plan, by its number there.
    pub(super) fn planned(&mut self, detail: &str, at: u64, event: usize) {
        let mut words = detail.splitn(3, ' ');
        let (verb, number, text) = (words.next(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match verb {
            Some("begin") => {
                let names = match text.rsplit_once("on ") {
                    Some((before, names)) if before.is_empty() || before.ends_with(' ') => names.split(' ').next(),
                    _ => None,
                };
                let names = names.unwrap_or_default().split(',').filter(|name| !name.is_empty());
                let nodes = names.map(|name| place_of(name).to_string()).collect();
                self.begin("fault", number, &format!("fault {number}: {text}"), nodes, (at, event));
            }
            Some("end") => self.end("fault", number, at),
            _ => {}
        }
    }

    /// All of them, in the order of their beginnings.
    pub(super) fn finish(self, end: u64, all: &[Node]) -> Vec<Band> {
        let Faults { open, mut done } = self;
        done.extend(open.into_iter().map(|open| (open, end)));
        let find = |name: &String| all.iter().position(|node| node.name == *name || node.addresses.contains(name));
        let band = |(open, to): (Open, u64)| {
            let Open { kind, mut text, nodes, from, event, key, .. } = open;
            let is_one_way = key.contains(" to ");
            let mut nodes: Vec<usize> = nodes.iter().filter_map(find).collect();
            nodes.sort_unstable();
            if kind == "cut" {
                let names: Vec<&str> = nodes.iter().map(|node| all[*node].name.as_str()).collect();
                text = match names.as_slice() {
                    [one] => format!("{one} is cut off from everybody"),
                    [one, other] if is_one_way => format!("nothing passes one way between {one} and {other}"),
                    _ => format!("{} are cut off from each other", names.join(" and ")),
                };
            }
            Band { nodes, from, to, kind, text, event }
        };
        let mut bands: Vec<Band> = done.into_iter().map(band).collect();
        bands.sort_by_key(|band| band.event);
        bands
    }
}
