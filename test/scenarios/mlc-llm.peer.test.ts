import { describeScenario } from '../support/scenario.js';

describeScenario('mlc-llm', 22);
