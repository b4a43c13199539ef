export { LossClient } from './src/client.js';
export { LossError } from './src/errors.js';
