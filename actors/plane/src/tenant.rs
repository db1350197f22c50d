//! Who may, and how much.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Quota;
use crate::ids::TenantId;
use crate::spec::SubmitError;

/// A job would exceed its tenant's quota. Nothing of it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("tenant {tenant} may have {limit}, and {wanted} are wanted")]
pub struct QuotaExceeded {
    /// Whose quota.
    pub tenant: TenantId,
    /// Which limit.
    pub limit: QuotaLimit,
    /// How many there would be.
    pub wanted: u64,
}

/// A limit of a quota that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum QuotaLimit {
    /// [`Quota::queued`].
    #[error("{0} unfinished tasks")]
    Queued(u32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Usage {
    quota: Quota,
    queued: u32,
    running: u32,
}

/// The tenants, their quotas and what they use of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tenants {
    tenants: BTreeMap<TenantId, Usage>,
}

impl Tenants {
    pub(crate) fn new(quotas: &BTreeMap<TenantId, Quota>) -> Self {
        let usage = |quota: &Quota| Usage { quota: *quota, queued: 0, running: 0 };
        Self { tenants: quotas.iter().map(|(id, quota)| (id.clone(), usage(quota))).collect() }
    }

    /// Takes `tasks` of the queue, all or none.
    pub(crate) fn admit(&mut self, tenant: &TenantId, tasks: u32) -> Result<(), SubmitError> {
        let Some(usage) = self.tenants.get_mut(tenant) else { return Err(SubmitError::UnknownTenant(tenant.clone())) };
        let wanted = u64::from(usage.queued) + u64::from(tasks);
        if wanted > u64::from(usage.quota.queued) {
            let limit = QuotaLimit::Queued(usage.quota.queued);
            return Err(QuotaExceeded { tenant: tenant.clone(), limit, wanted }.into());
        }
        usage.queued += tasks;
        Ok(())
    }

    /// Gives `tasks` of the queue back: they are done, failed, skipped or cancelled.
    pub(crate) fn release(&mut self, tenant: &TenantId, tasks: u32) {
        let usage = self.usage(tenant);
        assert!(usage.queued >= tasks, "{tenant} gives back more of its queue than it took");
        usage.queued -= tasks;
    }

    /// Whether one more task may run now.
    pub(crate) fn may_run(&self, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_some_and(|u| u.running < u.quota.slots)
    }

    pub(crate) fn started(&mut self, tenant: &TenantId) {
        let usage = self.usage(tenant);
        assert!(usage.running < usage.quota.slots, "{tenant} runs more tasks than it has slots");
        usage.running += 1;
    }

    pub(crate) fn stopped(&mut self, tenant: &TenantId) {
        let usage = self.usage(tenant);
        assert!(usage.running > 0, "{tenant} stops a task that it did not start");
        usage.running -= 1;
    }

    /// Tasks running and tasks unfinished.
    pub(crate) fn used(&self, tenant: &TenantId) -> Option<(u32, u32)> {
        self.tenants.get(tenant).map(|u| (u.running, u.queued))
    }

    fn usage(&mut self, tenant: &TenantId) -> &mut Usage {
        self.tenants.get_mut(tenant).unwrap_or_else(|| unreachable!("{tenant} was admitted, and tenants are never removed"))
    }
}
