//! Tries plans, each in a process of its own, until none is found that is smaller and fails as the first one did.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use playhouse_sim::plan::{Extras, Plan};
use playhouse_sim::shrink::{Aim, Trial, shrink};
use serde_json::Value;

use super::{out, process};

/// How plans are tried.
pub(crate) struct Order<'a, Request, Report> {
    /// What runs a plan. The number is to be the report's seed: by it the report is told from the others.
    pub(crate) request: &'a dyn Fn(u64, Plan) -> Request,
    pub(crate) run: fn(&Request) -> Report,
    /// A report's seed, and how it ended if not well.
    pub(crate) judge: fn(&Report) -> (u64, Option<&Value>),
    /// Keeps a plan and how its run ended.
    pub(crate) save: &'a dyn Fn(&Plan, &Value) -> Result<(), String>,
    /// The nodes that may be left out.
    pub(crate) extras: Extras,
    pub(crate) jobs: usize,
    pub(crate) began: Instant,
    pub(crate) budget: Duration,
}

/// What is left of a plan.
pub(crate) struct Smallest {
    pub(crate) plan: Plan,
    /// How its run ended.
    pub(crate) verdict: Value,
    pub(crate) runs: u64,
}

struct Trials<'a, Request, Report> {
    order: &'a Order<'a, Request, Report>,
    wanted: Aim,
    /// How the last one ended that failed as the first one did.
    verdict: Value,
    runs: u64,
    first: usize,
    /// Why the last one could not be kept.
    unsaved: Option<String>,
}

impl<Request: Send + 'static, Report: Send + 'static> Trial for Trials<'_, Request, Report> {
    fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
        let Trials { order, wanted, runs, .. } = self;
        let requests = plans.iter().zip(0..).map(|(plan, index)| (order.request)(index, plan.clone()));
        let mut first: Option<(u64, Value)> = None;
        process::all(requests, order.jobs, order.run, |report| {
            *runs += 1;
            let (index, verdict) = (order.judge)(&report);
            if let Some(verdict) = verdict.filter(|verdict| wanted.is_met_by(verdict))
                && first.as_ref().is_none_or(|(first, _)| index < *first)
            {
                first = Some((index, verdict.clone()));
            }
            first.is_none() && order.began.elapsed() < order.budget
        });
        let (index, verdict) = first?;
        self.verdict = verdict;
        usize::try_from(index).ok()
    }

    fn extras(&self) -> Extras {
        self.order.extras
    }

    fn is_over(&self) -> bool {
        self.order.began.elapsed() >= self.order.budget || self.unsaved.is_some()
    }

    /// Kept at once: whoever interrupts this has what was found.
    fn found(&mut self, plan: &Plan) {
        self.unsaved = (self.order.save)(plan, &self.verdict).err();
        if std::io::stderr().is_terminal() {
            eprint!("\r{} -> {} troubles, {} runs \x1b[K", self.first, plan.troubles(), self.runs);
            let _ = std::io::stderr().flush();
        }
    }
}

/// The smallest plan found that fails as `plan` did, whose run ended with `verdict`. The error: why a plan could not be kept.
pub(crate) fn smallest<Request, Report>(
    plan: &Plan,
    verdict: &Value,
    order: &Order<'_, Request, Report>,
) -> Result<Smallest, String>
where
    Request: Send + 'static,
    Report: Send + 'static,
{
    (order.save)(plan, verdict)?;
    let (wanted, first) = (Aim::of(verdict), plan.troubles());
    let mut trials = Trials { order, wanted, verdict: verdict.clone(), runs: 1, first, unsaved: None };
    let plan = shrink(plan, &mut trials);
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    let Trials { verdict, runs, unsaved, .. } = trials;
    unsaved.map_or(Ok(Smallest { plan, verdict, runs }), Err)
}

/// Says what became of `plan`.
pub(crate) fn show<Request, Report>(title: &str, plan: &Plan, small: &Smallest, order: &Order<'_, Request, Report>) {
    let counts = |plan: &Plan| (plan.faults.len(), plan.climate.hazards(), plan.turns.len());
    let ((faults, hazards, turns), (few, mild, straight)) = (counts(plan), counts(&small.plan));
    let turns = if turns > 0 { format!(", {turns} turns of the dice -> {straight}") } else { String::new() };
    let without = small.plan.absent.len() - plan.absent.len();
    let nodes = if without > 0 { format!(", {without} of the nodes left out") } else { String::new() };
    out(&format!("{title}: {faults} faults -> {few}, {hazards} hazards of the network -> {mild}{turns}{nodes}"));
    let took = order.began.elapsed();
    let over = if took >= order.budget { "; the time was up" } else { "" };
    out(&format!("  {} runs in {:.1} s{over}", small.runs, took.as_secs_f64()));
    if let Some(promise) = small.verdict["promise"].as_str() {
        out(&format!("  breaks: {promise}"));
    }
    out(&format!("  seen: {}", small.verdict["seen"].as_str().unwrap_or("?")));
    small.plan.to_string().lines().for_each(|line| out(&format!("  {line}")));
}
