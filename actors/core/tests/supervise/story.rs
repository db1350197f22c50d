//! The language of the stories.

use std::collections::BTreeMap;
use std::time::Duration;

use playhouse_actors::supervise::{
    Backoff, ChildId, ChildSpec, Effect, End, Event, Intensity, Lifetime, Strategy, Supervisor, SupervisorSpec,
};
use playhouse_wire::Time;

/// A supervisor, and a world that does nothing but what it is told to. Only timers come by themselves.
pub(crate) struct Story {
    spec: SupervisorSpec,
    /// None until `start`.
    supervisor: Option<Supervisor>,
    now: Time,
    names: Vec<String>,
    timers: BTreeMap<ChildId, (u64, Time)>,
    dice: u64,
}

impl Default for Story {
    /// Three restarts within ten seconds, back-off from 100 ms to 1 s, always whole.
    fn default() -> Story {
        let spec = SupervisorSpec {
            intensity: Intensity { max: 3, within: Duration::from_secs(10) },
            backoff: Backoff { first: Duration::from_millis(100), ..Backoff::default() },
            ..SupervisorSpec::new("story")
        };
        Story { spec, supervisor: None, now: Time::ZERO, names: Vec::new(), timers: BTreeMap::new(), dice: 0 }
    }
}

impl Story {
    /// Does what one line says; what comes of it goes to `out`.
    pub(crate) fn command(&mut self, line: &str, out: &mut Vec<String>) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            // supervisor STRATEGY [max=N] [within=MS] [backoff=MS]
            "supervisor" => {
                self.spec.strategy = match words[1] {
                    "one-for-one" => Strategy::OneForOne,
                    "one-for-all" => Strategy::OneForAll,
                    "rest-for-one" => Strategy::RestForOne,
                    other => panic!("no strategy: {other}"),
                };
                option(&words, "max").into_iter().for_each(|max| self.spec.intensity.max = max as u32);
                option(&words, "within").into_iter().for_each(|ms| self.spec.intensity.within = Duration::from_millis(ms));
                option(&words, "backoff").into_iter().for_each(|ms| self.spec.backoff.first = Duration::from_millis(ms));
            }
            // child NAME [transient|temporary] [stop=MS|forever]
            "child" => {
                self.names.push(words[1].to_string());
                self.spec.children.push(child(&words));
            }
            // add NAME [transient|temporary] [stop=MS]: while it runs
            "add" => {
                self.names.push(words[1].to_string());
                let id = self.supervisor.as_ref().expect("`start` first").next_child();
                self.tell(Event::Add { child: id, spec: child(&words) }, out);
            }
            "start" => {
                self.supervisor.get_or_insert_with(|| Supervisor::new(self.spec.clone()).unwrap());
                self.tell(Event::Start, out);
            }
            "stop" => self.tell(Event::Stop, out),
            "remove" => self.tell(Event::Remove { child: self.id(words[1]) }, out),
            "restart" => self.tell(Event::Restart { child: self.id(words[1]) }, out),
            // started NAME#LIFE ..
            "started" => words[1..].iter().for_each(|word| {
                let (child, life) = self.life(word);
                self.tell(Event::Started { child, life }, out);
            }),
            // stopped NAME#LIFE ..; ended NAME#LIFE; failed NAME#LIFE TEXT
            "stopped" => words[1..].iter().for_each(|word| self.ended(word, End::Stopped, out)),
            "ended" => self.ended(words[1], End::Normal, out),
            "failed" => self.ended(words[1], End::Failed(words[2..].join(" ")), out),
            // timer NAME NUMBER: one that comes although it is not set
            "timer" => self.tell(Event::Timer { child: self.id(words[1]), timer: words[2].parse().unwrap() }, out),
            // dice least|most: how much chance takes away from each wait
            "dice" => self.dice = if words[1] == "most" { u64::MAX } else { 0 },
            // tick MS: time passes, timers come
            "tick" => self.pass(Duration::from_millis(words[1].parse().unwrap()), out),
            "tree" => out.extend(self.supervisor.as_ref().unwrap().report().to_string().lines().map(str::to_string)),
            other => panic!("no command: {other}"),
        }
    }

    fn pass(&mut self, time: Duration, out: &mut Vec<String>) {
        let until = self.now + time;
        while let Some((child, (timer, due))) = self.timers.iter().min_by_key(|(_, (_, due))| *due).map(|(c, t)| (*c, *t))
            && due <= until
        {
            self.now = due;
            self.timers.remove(&child);
            self.tell(Event::Timer { child, timer }, out);
        }
        self.now = until;
    }

    fn ended(&mut self, word: &str, end: End, out: &mut Vec<String>) {
        let (child, life) = self.life(word);
        self.tell(Event::Ended { child, life, end, dice: self.dice }, out);
    }

    fn tell(&mut self, event: Event, out: &mut Vec<String>) {
        let mut effects = Vec::new();
        let supervisor = self.supervisor.as_mut().expect("`start` first");
        if let Err(ignored) = supervisor.on(self.now, event, &mut effects) {
            assert_eq!(effects, [], "an event that is ignored has no effects");
            out.push(format!("{} ignored: {ignored}", self.clock()));
        }
        for effect in effects {
            match effect {
                Effect::SetTimer { child, timer, after } => {
                    assert!(self.timers.insert(child, (timer, self.now + after)).is_none(), "two timers at once");
                }
                Effect::ClearTimer { child } => assert!(self.timers.remove(&child).is_some(), "no timer to clear"),
                _ => {}
            }
            out.push(format!("{} {}", self.clock(), self.line(&effect)));
        }
    }

    fn line(&self, effect: &Effect) -> String {
        let name = |child: &ChildId| &self.names[child.0 as usize - 1];
        match effect {
            Effect::StartChild { child, life } => format!("start {}#{life}", name(child)),
            Effect::StopChild { child, life, within, restart } => {
                let why = if *restart { " to restart it" } else { "" };
                let within = if *within == Duration::MAX { "any time".to_string() } else { format!("{within:?}") };
                format!("stop {}#{life} within {within}{why}", name(child))
            }
            Effect::AbortChild { child, life } => format!("abort {}#{life}", name(child)),
            Effect::Rest { child } => format!("rest {}", name(child)),
            Effect::Forgotten { child } => format!("forgotten {}", name(child)),
            Effect::SetTimer { child, timer, after } => format!("timer {timer} of {} after {after:?}", name(child)),
            Effect::ClearTimer { child } => format!("clear timer of {}", name(child)),
            Effect::Up => "up".to_string(),
            Effect::Down { end } => format!("down, {end}"),
        }
    }

    fn clock(&self) -> String {
        format!("{}.{:03}s", self.now.as_millis() / 1000, self.now.as_millis() % 1000)
    }

    fn id(&self, name: &str) -> ChildId {
        let at = self.names.iter().rposition(|known| known == name).unwrap_or_else(|| panic!("no child: {name}"));
        ChildId(at as u64 + 1)
    }

    /// NAME#LIFE
    fn life(&self, word: &str) -> (ChildId, u64) {
        let (name, life) = word.split_once('#').expect("NAME#LIFE");
        (self.id(name), life.parse().unwrap())
    }
}

fn child(words: &[&str]) -> ChildSpec {
    let lifetime = match words.get(2) {
        Some(&"transient") => Lifetime::Transient,
        Some(&"temporary") => Lifetime::Temporary,
        _ => Lifetime::Permanent,
    };
    let forever = words.contains(&"forever").then_some(Duration::MAX);
    let stop_within = forever.or(option(words, "stop").map(Duration::from_millis));
    let spec = ChildSpec { lifetime, ..ChildSpec::new(words[1]) };
    ChildSpec { stop_within: stop_within.unwrap_or(spec.stop_within), ..spec }
}

/// The number of `name=NUMBER`.
fn option(words: &[&str], name: &str) -> Option<u64> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(|number| number.parse().unwrap())
}
