//! The verdict on a history, and what a person needs to believe it.

use std::collections::BTreeMap;
use std::fmt;

use super::search::{End, Found, search};
use super::{History, Model, Operation};

/// Steps of the model that a search may take, for each part, before it gives up; it remembers at most as many states.
pub const STEPS_MAX: u64 = 1_000_000;

/// Operations that a report shows.
const SHOWN_MAX: usize = 12;

/// Whether a history can be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is an order that explains all answers.
    Linearizable,
    /// There is none.
    Unlinearizable(Violation),
    /// The search took too long. Record less at once, or use more parts.
    Unknown {
        /// The part, in words.
        part: String,
        /// Its operations.
        operations: usize,
    },
}

/// Why there is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The part that it is about, in words.
    pub part: String,
    /// After so many answers of the part it was still possible to explain them all...
    pub explained: usize,
    /// ...and not with this one.
    pub culprit: String,
    /// An answer that could have been explained instead, if one was found.
    pub instead: Option<String>,
    /// Operations around it, in the order of their calls: those that were under way at the same time, and what was done just before.
    pub around: Vec<String>,
    /// How many earlier ones are not shown.
    pub earlier: usize,
    /// The end of an order that explains all before it.
    pub order: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = if self.part == "()" { String::new() } else { format!(" of {}", self.part) };
        writeln!(f, "not linearizable: the first {} answers{part} can be explained, but not with the next one:", self.explained)?;
        if self.earlier > 0 {
            writeln!(f, "    ({} earlier operations)", self.earlier)?;
        }
        for line in &self.around {
            writeln!(f, "    {line}")?;
        }
        write!(f, "  > {}", self.culprit)?;
        match &self.instead {
            Some(instead) => writeln!(f, "   no order gives this; {instead} would be possible")?,
            None => writeln!(f, "   no order gives this")?,
        }
        write!(f, "  an order of what came before: ... {}", self.order.join(", "))
    }
}

/// Whether `history` can be explained by `model`; see the module.
///
/// Parts are checked apart, which is sound (Herlihy and Wing, 1990) and quick: P-compositionality, after Horn and Kroening, "Faster
/// linearizability checking via P-compositionality" (2015).
pub fn check<M: Model>(model: &M, history: &History<M::Op, M::Ret>) -> Answer {
    check_within(model, history, STEPS_MAX)
}

/// As [`check`], with another bound of steps for each part.
pub fn check_within<M: Model>(model: &M, history: &History<M::Op, M::Ret>, steps: u64) -> Answer {
    let mut parts: BTreeMap<M::Part, Vec<&OperationOf<M>>> = BTreeMap::new();
    for operation in history.operations.iter().filter(|operation| !operation.refused) {
        parts.entry(model.part(&operation.op)).or_default().push(operation);
    }
    let mut unknown = None;
    for (part, operations) in &parts {
        let part = Part { model, name: format!("{part:?}"), operations, steps };
        match part.search(u64::MAX, None) {
            Found::Order(_) => {}
            Found::None => return Answer::Unlinearizable(part.explain()),
            Found::OutOfSteps => {
                unknown.get_or_insert(Answer::Unknown { part: part.name, operations: operations.len() });
            }
        }
    }
    unknown.unwrap_or(Answer::Linearizable)
}

type OperationOf<M> = Operation<<M as Model>::Op, <M as Model>::Ret>;

struct Part<'a, M: Model> {
    model: &'a M,
    name: String,
    operations: &'a [&'a OperationOf<M>],
    steps: u64,
}

impl<M: Model> Part<'_, M> {
    /// Looks for an order of what was recorded up to the moment `until`; the answer of `any` may be another one.
    fn search(&self, until: u64, any: Option<usize>) -> Found {
        let end = |number: usize| {
            let operation = self.operations[number];
            if operation.called.order > until {
                return None;
            }
            Some(match &operation.answer {
                Some((moment, _)) if moment.order > until => End::Open,
                Some(_) if any == Some(number) => End::Any,
                Some((_, answer)) => End::Answer(answer),
                None => End::Open,
            })
        };
        search(self.model, self.operations, end, &mut self.steps.clone())
    }

    /// There is no order: finds the shortest beginning that has none. Each beginning of one that can be explained can be, so it is found
    /// by halving.
    fn explain(&self) -> Violation {
        let mut answers: Vec<(u64, usize)> = self
            .operations
            .iter()
            .enumerate()
            .filter_map(|(number, operation)| operation.answer.as_ref().map(|(moment, _)| (moment.order, number)))
            .collect();
        answers.sort_unstable();
        let explained = answers.partition_point(|(moment, _)| self.search(*moment, None) != Found::None);
        // All of them together cannot be explained, so one is the first.
        let (until, culprit) = answers[explained.min(answers.len() - 1)];
        let instead = self.search(until, Some(culprit));
        let order = match self.search(until - 1, None) {
            Found::Order(order) => order,
            _ => Vec::new(),
        };
        Violation {
            part: self.name.clone(),
            explained,
            culprit: self.line(culprit, until),
            instead: self.answer_in(&instead, culprit),
            around: self.around(culprit, until),
            earlier: self.before(culprit, until).count().saturating_sub(SHOWN_MAX),
            order: order[order.len().saturating_sub(SHOWN_MAX)..].iter().map(|number| self.short(*number)).collect(),
        }
    }

    /// What an operation answers in an order.
    fn answer_in(&self, found: &Found, wanted: usize) -> Option<String> {
        let Found::Order(order) = found else { return None };
        let mut state = self.model.start();
        for number in order {
            let (next, answer) = self.model.step(&state, &self.operations[*number].op);
            if *number == wanted {
                return Some(format!("{answer:?}"));
            }
            state = next;
        }
        None
    }

    /// All others that were called by then.
    fn before(&self, culprit: usize, until: u64) -> impl Iterator<Item = usize> {
        (0..self.operations.len()).filter(move |number| *number != culprit && self.operations[*number].called.order < until)
    }

    /// Those that were under way together with the culprit, and as many of the last ones before as fit.
    fn around(&self, culprit: usize, until: u64) -> Vec<String> {
        let began = self.operations[culprit].called.order;
        let ended = |number: &usize| self.operations[*number].answer.as_ref().map_or(u64::MAX, |(moment, _)| moment.order);
        let mut numbers: Vec<usize> = self.before(culprit, until).collect();
        // Overlapping ones first, then the latest to end.
        numbers.sort_by_key(|number| std::cmp::Reverse(ended(number).min(began)));
        numbers.truncate(SHOWN_MAX);
        numbers.sort_unstable();
        numbers.into_iter().map(|number| self.line(number, until)).collect()
    }

    fn short(&self, number: usize) -> String {
        let operation = self.operations[number];
        format!("{} {:?}", operation.client, operation.op)
    }

    fn line(&self, number: usize, until: u64) -> String {
        let operation = self.operations[number];
        let seconds = |at: std::time::Duration| format!("{:.6}", at.as_secs_f64());
        let (end, answer) = match &operation.answer {
            Some((moment, answer)) if moment.order <= until => (seconds(moment.at), format!("{answer:?}")),
            _ => ("open".to_string(), "?".to_string()),
        };
        format!("{:<32} {} .. {end} s  -> {answer}", self.short(number), seconds(operation.called.at))
    }
}
