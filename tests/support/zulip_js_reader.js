// A program on the published client `zulip-js`, unmodified: prints a line of JSON for what it is told.
//
//     node zulip_js_reader.js follow ZULIPRC [TYPES]             every event, with callOnEachEvent
//     node zulip_js_reader.js call ZULIPRC RESOURCE METHOD ARGUMENTS   one call, and its answer
//
// NODE_PATH says where the client is.
const zulip = require('zulip-js');

// What the client logs by itself goes to standard error.
console.log = console.error;

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function main([what, zuliprc, ...rest]) {
  const client = await zulip({ zuliprc });
  if (what === 'follow') {
    await client.callOnEachEvent(say, ...rest.map((text) => JSON.parse(text)));
  } else {
    const [resource, method, parameters] = rest;
    say(await client[resource][method](JSON.parse(parameters)));
  }
}

main(process.argv.slice(2));
