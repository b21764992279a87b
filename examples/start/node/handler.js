// Answers greetings: one CloudEvent in JSON a line in, one answer a line out.
const lines = require('readline').createInterface({ input: process.stdin });

lines.on('line', (line) => {
  const event = JSON.parse(line);
  const { name } = event.data;
  console.error(`greeting ${name}`); // goes to the log
  const answer = { name, text: `Hello, ${name}!` };
  console.log(JSON.stringify({
    id: event.id,
    events: [{ type: 'greeting.answered', data: answer }],
  }));
});
