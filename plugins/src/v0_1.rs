//! Guests of `heliostat:plugin@0.1`, with bindings made from the frozen folder `wit/v0.1`.

mod convert;
mod imports;

use scheduler::hooks::{Decision, RunContext, RunOutcome, Verdict};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Error, Store};

use crate::component::Shape;
use crate::guest::{Refusal, Said};
use crate::policy::{Finished, View};
use crate::settings::Part;
use crate::state::State;
use bindings::exports::heliostat::plugin::{policy, post_hook, pre_hook};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/v0.1",
        inline: "
            package heliostat:host;
            world everything {
                include heliostat:plugin/imports@0.1.0;
                export heliostat:plugin/pre-hook@0.1.0;
                export heliostat:plugin/post-hook@0.1.0;
                export heliostat:plugin/policy@0.1.0;
            }
        ",
        imports: {
            "heliostat:plugin/kv": async,
            "heliostat:plugin/http": async,
            "heliostat:plugin/dest": async,
            "heliostat:plugin/random": trappable,
        },
        exports: { default: async },
    });
}

/// A component with its imports connected, and where its functions are.
pub(crate) struct Guest {
    pre: InstancePre<State>,
    pre_hook: Option<pre_hook::GuestIndices>,
    post_hook: Option<post_hook::GuestIndices>,
    policy: Option<policy::GuestIndices>,
}

impl Guest {
    pub(crate) fn link(engine: &Engine, component: &Component, shape: &Shape) -> Result<Self, Error> {
        let mut linker = Linker::new(engine);
        bindings::Everything::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        if shape.imports.iter().any(|import| import.starts_with("wasi:")) {
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        }
        let pre = linker.instantiate_pre(component)?;
        let has = |part| shape.parts.contains(&part);
        Ok(Self {
            pre_hook: has(Part::PreSync).then(|| pre_hook::GuestIndices::new(&pre)).transpose()?,
            post_hook: has(Part::PostSync).then(|| post_hook::GuestIndices::new(&pre)).transpose()?,
            policy: has(Part::Policy).then(|| policy::GuestIndices::new(&pre)).transpose()?,
            pre,
        })
    }

    pub(crate) async fn try_start(&self, store: &mut Store<State>) -> Result<(), Error> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        self.pre_hook.as_ref().map(|part| part.load(&mut *store, &instance)).transpose()?;
        self.post_hook.as_ref().map(|part| part.load(&mut *store, &instance)).transpose()?;
        self.policy.as_ref().map(|part| part.load(&mut *store, &instance)).transpose()?;
        Ok(())
    }

    pub(crate) async fn pre_sync(
        &self,
        store: &mut Store<State>,
        context: &RunContext,
    ) -> Result<Said<Decision>, Error> {
        let context = convert::context(context);
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let hook = part(self.pre_hook.as_ref())?.load(&mut *store, &instance)?;
        let answer = hook.call_pre_sync(store, &context).await?;
        Ok(answer.map_err(convert::refusal).and_then(convert::decision))
    }

    pub(crate) async fn post_sync(
        &self,
        store: &mut Store<State>,
        context: &RunContext,
        outcome: &RunOutcome,
    ) -> Result<Said<Verdict>, Error> {
        let (context, outcome) = (convert::context(context), convert::outcome(outcome));
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let hook = part(self.post_hook.as_ref())?.load(&mut *store, &instance)?;
        let answer = hook.call_post_sync(store, &context, &outcome).await?;
        Ok(answer.map_err(convert::refusal).map(convert::verdict))
    }

    pub(crate) async fn pick(&self, store: &mut Store<State>, view: &View) -> Result<Said<Vec<u32>>, Error> {
        let (view, queued) = (convert::view(view), view.queue.len());
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let policy = part(self.policy.as_ref())?.load(&mut *store, &instance)?;
        let answer = policy.call_pick(store, &view).await?;
        Ok(answer.map_err(|why| Refusal::Failed(convert::reason(&why))).map(|mut picks| {
            picks.truncate(queued);
            picks
        }))
    }

    pub(crate) async fn next_delay(
        &self,
        store: &mut Store<State>,
        run: &Finished,
    ) -> Result<Said<u64>, Error> {
        let run = convert::finished(run);
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let policy = part(self.policy.as_ref())?.load(&mut *store, &instance)?;
        let answer = policy.call_next_delay(store, &run).await?;
        Ok(answer.map_err(|why| Refusal::Failed(convert::reason(&why))))
    }
}

/// Who asks has looked at the shape; asking for what is not there is an error of the call, not of the process.
fn part<T>(part: Option<&T>) -> Result<&T, Error> {
    part.ok_or_else(|| Error::msg("it has no such hook"))
}
