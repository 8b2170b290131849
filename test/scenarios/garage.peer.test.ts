import { describeScenario } from '../support/scenario.js';

describeScenario('garage', 29);
