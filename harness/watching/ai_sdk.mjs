// Each provider of the AI SDK asks the queen the same things. A line of JSON for each.
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOllama } from "ollama-ai-provider-v2";
import { z } from "zod";

const { QUEEN, KEY } = process.env;
const [model, caller] = process.argv.slice(2);
const openai = { baseURL: `${QUEEN}/v1`, apiKey: KEY };
const compatible = { name: "rbee", includeUsage: true, supportsStructuredOutputs: true };
const ollama = { baseURL: `${QUEEN}/api`, headers: { Authorization: `Bearer ${KEY}` } };
const providers = {
  "openai-compatible": createOpenAICompatible({ ...openai, ...compatible }),
  "openai chat": createOpenAI(openai).chat,
  "openai responses": createOpenAI(openai),
  anthropic: createAnthropic(openai),
  ollama: createOllama(ollama),
};
const embedders = {
  "openai-compatible": providers["openai-compatible"],
  "openai responses": providers["openai responses"],
  ollama: providers.ollama,
};
const once = {
  maxRetries: 0,
  temperature: 0,
  maxOutputTokens: 60,
  // This provider sends limits only here.
  providerOptions: { ollama: { options: { temperature: 0, num_predict: 60 } } },
};

for (const [provider, of] of Object.entries(providers)) {
  const asked = { ...once, model: of(model), prompt: "Say something nice about cats." };
  const whole = await generateText(asked);
  const streamed = streamText(asked);
  let pieces = "";
  for await (const piece of streamed.textStream) pieces += piece;

  const ran = [];
  const weather = tool({
    description: "The weather in a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (ran.push(city), "Rain"),
  });
  const tools = { ...once, tools: { weather }, stopWhen: stepCountIs(3), prompt: "Weather?" };
  const called = await generateText({ ...tools, model: of(caller) });
  const calledInStream = streamText({ ...tools, model: of(caller) });
  await calledInStream.consumeStream();

  const cities = [...ran];

  const named = { toolChoice: { type: "tool", toolName: "weather" } };
  const must = await generateText({ ...asked, tools: { weather, other: weather }, ...named });

  const pet = z.object({ kind: z.enum(["cat", "dog"]), isOld: z.boolean() });
  const { output } = await generateText({ ...asked, output: Output.object({ schema: pet }) });
  const unknown = await generateText({ ...asked, model: of("nonesuch") }).catch((error) => error);
  const embedder = embedders[provider];
  const vectors =
    embedder && (await embedMany({ model: embedder.embeddingModel(model), values: ["a", "b"] }));

  const found = {
    provider,
    texts: [whole.text, pieces],
    usage: [whole.usage, await streamed.usage],
    ran: cities,
    last: [called.text, await calledInStream.text],
    must: must.toolCalls.map((call) => call.toolName),
    output,
    unknown: [unknown.statusCode, unknown.responseBody],
    vectors: vectors?.embeddings.map((vector) => vector.length),
  };
  console.log(JSON.stringify(found));
}
