import { describeScenario } from '../support/scenario.js';

describeScenario('iree', 16);
