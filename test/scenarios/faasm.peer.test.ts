import { describeScenario } from '../support/scenario.js';

describeScenario('faasm', 31);
