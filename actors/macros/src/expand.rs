//! Writes the code.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::method::{Call, Message, Step, ways};
use crate::plan::{self, Plan};
use crate::shape::{Answer, without_self};

/// The attribute: the block and what belongs to it, or the block and what is wrong with it.
pub(crate) fn actor(keys: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut block = match plan::block(tokens.clone()) {
        Ok(block) => block,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#tokens #error);
        }
    };
    let (plan, wrong) = plan::read(keys, &mut block);
    // The block stays in any case, and so does what can be written: else each use of it would be an error too.
    let (written, wrong) = (plan.map(|plan| plan.write()), wrong.map(syn::Error::into_compile_error));
    quote!(#block #written #wrong)
}

/// As [`actor`], with the first error itself.
#[cfg(test)]
pub(crate) fn try_actor(keys: TokenStream, tokens: TokenStream) -> syn::Result<TokenStream> {
    let mut block = plan::block(tokens)?;
    match plan::read(keys, &mut block) {
        (Some(plan), None) => Ok(plan.write()),
        (_, wrong) => Err(wrong.expect("without a plan, something is wrong")),
    }
}

impl Plan {
    fn write(&self) -> TokenStream {
        let messages = self.messages.iter().map(|message| self.message(message));
        let actor = (!self.keys.no_actor_impl).then(|| self.actor());
        let remote = self.keys.remote.then(|| self.remote());
        let reference = (!self.messages.is_empty()).then(|| self.reference());
        quote!(#actor #(#messages)* #reference #remote)
    }

    /// Where all that is written finds its names.
    fn home(&self) -> TokenStream {
        let playhouse = &self.keys.playhouse;
        quote!(#playhouse::__macros)
    }

    fn actor(&self) -> TokenStream {
        let (home, this) = (self.home(), &self.this);
        let steps = self.steps.iter().map(|step| self.step(step));
        quote! {
            #[automatically_derived]
            impl #home::Actor for #this {
                type Context = #home::Ctx<Self>;
                #(#steps)*
            }
        }
    }

    fn step(&self, step: &Step) -> TokenStream {
        let (home, this, method, conditions) = (self.home(), &self.this, &step.method, &step.conditions);
        let kind = format_ident!("{}", step.kind);
        let ctx = step.ctx.then(|| quote!(, ctx));
        let gives = (step.kind == "stopping").then(|| quote!(-> #home::Running));
        let fails = |call: TokenStream| {
            if !step.may_fail {
                return call;
            }
            // What it gives beside the error is checked to be nothing, so that nothing is lost in silence.
            quote! {
                let done: ::core::result::Result<(), _> = #call;
                if let ::core::result::Result::Err(error) = done {
                    #home::Ctx::fail(ctx, error);
                }
            }
        };
        let body = if step.lent {
            let body = fails(quote!(<#this>::#method(actor #ctx).await));
            quote!(#home::Ctx::exclusively(ctx, async |actor: &mut #this, ctx: &mut #home::Ctx<#this>| { #body });)
        } else {
            fails(quote!(<#this>::#method(self #ctx)))
        };
        quote! {
            #(#conditions)*
            #[allow(unused_variables)]
            fn #kind(&mut self, ctx: &mut #home::Ctx<Self>) #gives {
                #body
            }
        }
    }

    /// What a message is answered with, and the type as its author wrote it.
    fn answer<'a>(&self, message: &'a Message) -> (TokenStream, &'a Type) {
        match &message.answer {
            Answer::Now(answer) | Answer::Later { answer, .. } => (without_self(answer, &self.this), answer),
            Answer::Many { item, .. } => {
                let (home, of) = (self.home(), without_self(item, &self.this));
                (quote!(#home::Streaming<#of>), item)
            }
        }
    }

    /// A message's struct and its handler.
    fn message(&self, message: &Message) -> TokenStream {
        let (home, this) = (self.home(), &self.this);
        let Message { method, name, visibility, docs, conditions, fields, .. } = message;
        let (answer, _) = self.answer(message);
        let about = format!("The message that calls `{}::{method}`.", self.name);
        let gap = (!docs.is_empty()).then(|| quote!(#[doc = ""]));
        let serde = self.keys.remote.then(|| {
            let path = quote!(#home::serde).to_string();
            quote!(#[derive(#home::serde::Serialize, #home::serde::Deserialize)] #[serde(crate = #path)])
        });
        let clone = message.keys.clone.then(|| quote!(#[derive(::core::clone::Clone)]));
        let body = if fields.is_empty() {
            quote!(;)
        } else {
            let fields = fields.iter().map(|(field, ty)| {
                let (about, ty) = (format!("`{field}` of `{method}`."), without_self(ty, this));
                quote!(#[doc = #about] #visibility #field: #ty)
            });
            quote!({ #(#fields),* })
        };
        let (response, call) = self.handler(message);
        let travels = self.travels(message);
        quote! {
            #(#conditions)* #[doc = #about] #gap #(#docs)*
            #clone
            #serde
            #visibility struct #name #body

            #(#conditions)*
            #[automatically_derived]
            impl #home::Message for #name {
                type Result = #answer;
            }

            #(#conditions)*
            #[automatically_derived]
            #[allow(unused_variables, deprecated, clippy::all)]
            impl #home::Handler<#name> for #this {
                type Result = #response;
                fn handle(&mut self, message: #name, ctx: &mut #home::Ctx<Self>) -> Self::Result {
                    #call
                }
            }

            #(#conditions)*
            #travels
        }
    }

    /// Asks the compiler whether each part can travel, so that its answer underlines that part and not the attribute.
    fn travels(&self, message: &Message) -> TokenStream {
        let home = self.home();
        let also = self.keys.remote.then(|| quote!(+ #home::serde::Serialize + #home::serde::de::DeserializeOwned));
        let (Answer::Now(answer) | Answer::Later { answer, .. } | Answer::Many { item: answer, .. }) = &message.answer;
        let answer = without_self(answer, &self.this);
        let fields = message.fields.iter().map(|(_, ty)| without_self(ty, &self.this));
        quote! {
            const _: () = {
                const fn can_travel<T: ::core::marker::Send + 'static #also>() {}
                can_travel::<#answer>();
                #(can_travel::<#fields>();)*
            };
        }
    }

    /// What the handler gives, and its body.
    fn handler(&self, message: &Message) -> (TokenStream, TokenStream) {
        let (home, this) = (self.home(), &self.this);
        let (method, name) = (&message.method, &message.name);
        let fields = message.fields.iter().map(|(field, _)| field);
        let arguments = quote!(#(message.#fields),*);
        let call = match message.call {
            Call::Actor => quote!(<#this>::#method(self, #arguments)),
            Call::ActorAndCtx => quote!(<#this>::#method(self, ctx, #arguments)),
            Call::Lent => quote!(<#this>::#method(actor, #arguments)),
            Call::LentAndCtx => quote!(<#this>::#method(actor, ctx, #arguments)),
            Call::Async => quote!(<#this>::#method(#arguments)),
            Call::AsyncAndMe => quote!(<#this>::#method(&me, #arguments)),
        };
        match (message.call, &message.answer) {
            (Call::Async | Call::AsyncAndMe, Answer::Now(answer)) => {
                let me = (message.call == Call::AsyncAndMe).then(|| quote!(let me = ctx.me();));
                (quote!(#home::Later<#answer>), quote!(#me #home::Later::new(async move { #call.await })))
            }
            (Call::Lent | Call::LentAndCtx, Answer::Now(answer)) => {
                let work = quote!(async move |actor: &mut #this, ctx: &mut #home::Ctx<#this>| #call.await);
                (quote!(#home::Exclusive<Self, #answer>), quote!(#home::Exclusive::new(#work)))
            }
            (_, Answer::Now(_)) => (quote!(#home::MessageResult<#name>), quote!(#home::MessageResult(#call))),
            (_, Answer::Later { response, .. } | Answer::Many { response, .. }) => (response.to_token_stream(), call),
        }
    }

    /// The trait that gives references the messages as methods.
    fn reference(&self) -> TokenStream {
        let (home, this, reference) = (self.home(), &self.this, &self.reference);
        let about = format!("What a reference to a `{}` can ask and tell.", self.name);
        let visibility = self.messages.first().map(|first| &first.visibility);
        let (heads, bodies): (Vec<_>, Vec<_>) = self.messages.iter().map(|message| self.calls(message)).unzip();
        quote! {
            #[doc = #about]
            // Not each message is sent in both ways, and what is right for the method is right for its call.
            #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
            #visibility trait #reference {
                #(#heads)*
            }

            #[automatically_derived]
            #[allow(deprecated, clippy::all, clippy::pedantic)]
            impl #reference for #home::Ref<#this> {
                #(#bodies)*
            }
        }
    }

    /// The methods of a message: as the trait names them, and as references have them.
    fn calls(&self, message: &Message) -> (TokenStream, TokenStream) {
        let home = self.home();
        let Message { method, name, docs, conditions, deprecated, fields, .. } = message;
        let (answer, _) = self.answer(message);
        let [tell, send] = ways(method);
        let typed: Vec<_> = fields
            .iter()
            .map(|(field, ty)| {
                let ty = without_self(ty, &self.this);
                quote!(#field: #ty)
            })
            .collect();
        let named: Vec<_> = fields.iter().map(|(field, _)| field).collect();
        let value = if named.is_empty() { quote!(#name) } else { quote!(#name { #(#named),* }) };
        let told = quote!(::core::result::Result<(), #home::TellError<#name>>);
        let ask_head = quote!(fn #method(&self, #(#typed),*) -> #home::Ask<#answer>);
        let tell_head = quote!(fn #tell(&self, #(#typed),*) -> #told);
        let send_head =
            quote!(fn #send(&self, #(#typed),*) -> impl ::core::future::Future<Output = #told> + ::core::marker::Send);
        let about = format!("Asks with [`{name}`], at once; the answer is what is waited for, within five seconds.");
        let gap = (!docs.is_empty()).then(|| quote!(#[doc = ""]));
        let tells = format!("Sends [`{name}`] one way.\n\n# Errors\nWhen it was not sent; the message is in the error.");
        let sends = format!(
            "Sends [`{name}`] one way, and waits while the mailbox is full. Nothing is sent before it is awaited.\n\n# Errors\nWhen it \
             was not sent; the message is in the error."
        );
        let ask = quote! {
            #(#conditions)* #deprecated #(#docs)* #gap
            #[doc = #about]
            #ask_head;
        };
        let one_way = quote! {
            #(#conditions)* #deprecated
            #[doc = #tells]
            #tell_head;
            #(#conditions)* #deprecated
            #[doc = #sends]
            #send_head;
        };
        let to = match &message.keys.priority {
            Some(priority) => quote!(&#home::Ref::with_priority(self, #home::Priority::#priority)),
            None => quote!(self),
        };
        let ask_body = quote!(#(#conditions)* #ask_head { #home::Ref::ask(#to, #value) });
        if matches!(message.answer, Answer::Many { .. }) {
            // Without a reader nothing is produced, so it would be sent in vain.
            return (ask, ask_body);
        }
        let one_way_bodies = quote! {
            #(#conditions)*
            #tell_head { #home::Ref::tell(#to, #value) }
            #(#conditions)*
            #send_head { async move { #home::Ref::tell_when_ready(#to, #value).await } }
        };
        (quote!(#ask #one_way), quote!(#ask_body #one_way_bodies))
    }

    fn remote(&self) -> TokenStream {
        let (home, this) = (self.home(), &self.this);
        let messages = self.messages.iter().filter_map(|message| {
            let (id, _) = message.keys.id?;
            let (name, version, conditions) = (&message.name, message.keys.version, &message.conditions);
            // An answer that cannot travel is underlined where it stands.
            let span = self.answer(message).1.span();
            let mut name = name.clone();
            name.set_span(span);
            let id = quote!(#home::MessageId { id: #id, version: #version });
            let lane = |otherwise| message.keys.lane.clone().unwrap_or_else(|| format_ident!("{otherwise}"));
            Some(match &message.answer {
                Answer::Many { item, .. } => {
                    let (lane, item) = (lane("Bulk"), without_self(item, &self.this));
                    quote_spanned!(span=> #(#conditions)* protocol.stream_on::<#name, #item>(#id, #home::Lane::#lane);)
                }
                _ => {
                    let lane = lane("Data");
                    let add = if message.keys.unreliable.is_some() { quote!(unreliable_on) } else { quote!(message_on) };
                    quote_spanned!(span=> #(#conditions)* protocol.#add::<#name>(#id, #home::Lane::#lane);)
                }
            })
        });
        quote! {
            #[automatically_derived]
            impl #home::Remote for #this {
                fn protocol(protocol: &mut #home::Protocol<Self>) {
                    #(#messages)*
                }
            }
        }
    }
}
