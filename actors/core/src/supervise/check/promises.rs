//! What must hold after each event, judged by the effects.

use super::world::{Living, World};
use crate::supervise::limits::LAST_ENDS;
use crate::supervise::{ChildId, Effect, Lifetime, Strategy};

impl World {
    pub(super) fn take(&mut self, effects: Vec<Effect>) {
        assert!(effects.len() <= 3 * self.kids.len() + 4, "too many effects of one event");
        for effect in effects {
            assert_eq!(self.down, None, "after its end: {effect:?}");
            self.carry_out(effect);
        }
        assert!(self.timers.keys().all(|child| self.kids.contains_key(child)), "a timer of nobody");
        let report = self.supervisor.report();
        let known: Vec<_> = report.children.iter().map(|child| child.child).collect();
        assert!(known.iter().eq(self.kids.keys()), "the report knows {known:?}");
        assert!(report.children.iter().all(|child| child.ends.len() <= LAST_ENDS));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::StartChild { child, life } => self.start_child(child, life),
            Effect::StopChild { child, life, restart, .. } => self.stop_child(child, life, restart),
            Effect::AbortChild { child, life } => {
                let kid = self.kids.get_mut(&child).expect("a kid");
                assert!(kid.living == Living::Stopping && kid.life == life, "child {child} is not late");
                kid.living = Living::No;
                self.reached.insert("late child");
                self.group.remove(&child);
                self.asked.remove(&child);
                self.returning.remove(&child);
                self.last_start = None;
            }
            Effect::Rest { child } => {
                self.reached.insert("rest");
                let kid = &self.kids[&child];
                assert!(kid.living == Living::No && kid.lifetime == Lifetime::Transient, "child {child} must not rest");
            }
            Effect::Forgotten { child } => {
                let kid = self.kids.remove(&child).expect("a kid");
                assert_eq!(kid.living, Living::No, "child {child} lives and is forgotten");
            }
            Effect::SetTimer { child, timer, .. } if self.timers.contains_key(&child) => {
                panic!("child {child} has two timers, at last {timer}")
            }
            Effect::SetTimer { child, timer, after } => {
                assert!(!after.is_zero(), "a timer that waits for nothing");
                self.timers.insert(child, (timer, self.now + after));
            }
            Effect::ClearTimer { child } => {
                let (timer, _) = self.timers.remove(&child).expect("a timer that is set");
                self.old_timers.push((child, timer));
            }
            Effect::Up => {
                assert!(!std::mem::replace(&mut self.up, true), "up twice");
                let all = self.kids.values().all(|kid| kid.living != Living::Starting && kid.life > 0);
                assert!(all, "up, but not all have started");
            }
            Effect::Down { end } => self.down = Some(end),
        }
    }

    fn start_child(&mut self, child: ChildId, life: u64) {
        assert!(!self.closing, "child {child} is started although the supervisor ends: intensity or stop");
        assert!(self.group.is_empty(), "child {child} is started while {:?} of its group live", self.group);
        let one_by_one = !self.up || self.spec.strategy != Strategy::OneForOne;
        if one_by_one {
            let another = self.kids.values().any(|kid| kid.living == Living::Starting);
            assert!(!another, "child {child} is started while another starts");
            assert!(self.last_start < Some(child), "child {child} is started after {:?}", self.last_start);
            self.last_start = Some(child);
            assert!(self.returning.is_empty(), "child {child} is started before {:?} returned", self.returning);
            let skipped = self.kids.range(..child).find(|(_, kid)| kid.life == 0);
            assert!(skipped.is_none(), "child {child} is started before an earlier one");
        }
        let kid = self.kids.get_mut(&child).expect("a kid");
        assert_eq!(kid.living, Living::No, "child {child} lives twice");
        assert_eq!(life, kid.life + 1, "lives are counted one by one");
        assert!(life == 1 || kid.lifetime != Lifetime::Temporary, "the temporary child {child} is started again");
        (kid.life, kid.living) = (life, Living::Starting);
        if life > 5 {
            self.reached.insert("many lives");
        }
    }

    fn stop_child(&mut self, child: ChildId, life: u64, restart: bool) {
        let closing = self.closing;
        assert!(!(closing && restart), "no restart after the end");
        if !self.asked.contains(&child) || closing {
            assert!(closing || self.group.contains(&child), "child {child} is stopped without a reason");
            let later = self.kids.range(child..).skip(1);
            let mut later = later.filter(|(id, kid)| kid.living != Living::No && (closing || self.group.contains(id)));
            let first = later.next().map(|(id, _)| *id);
            assert_eq!(first, None, "child {child} is stopped before a later one");
        }
        let kid = self.kids.get_mut(&child).expect("a kid");
        assert!(matches!(kid.living, Living::Starting | Living::Up) && kid.life == life, "child {child} is stopped twice");
        assert!(!restart || kid.lifetime != Lifetime::Temporary);
        if kid.living == Living::Starting {
            self.reached.insert("stop during start");
        }
        kid.living = Living::Stopping;
        if restart && self.asked.contains(&child) {
            self.returning.insert(child);
        }
        if !self.group.is_empty() && self.asked.contains(&child) && !closing {
            self.reached.insert("request during the restart of a group");
        }
    }
}
